// SPDX-License-Identifier: MIT
// CredentialSource: who we are at AWS. The environment (AWS_ACCESS_KEY_ID, ...), else a shared credentials file, else
// the instance's role. Nothing of a secret gets into a message.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fffa/context.h"
#include "fffa/result.h"
#include "fffa_aws/imds_client.h"
#include "fffa_aws/sigv4.h"

namespace fffa::aws {

// The credentials of `profile` in a file such as ~/.aws/credentials.
std::optional<Credentials> parse_credentials_file(std::string_view text, std::string_view profile);

struct RoleCredentials {
  Credentials credentials;
  TimeNs expires = 0;
};
// Of the metadata service's JSON; nothing unless all of it is there and looks as it should.
std::optional<RoleCredentials> parse_role_credentials(std::string_view json);

// One thread at a time, any thread. Blocks.
class CredentialSource {
 public:
  using Variable = const char* (*)(const char*);
  // `file`: this one and nothing else; empty: the usual order. `clock` and `stop` outlive the source.
  CredentialSource(std::string file, Clock& clock, const std::atomic<bool>& stop, Variable variable);

  // A role's credentials are asked for anew before they expire: 5 minutes, or half of their life.
  Result<Credentials> get();
  // The server does not take them (any more): the next get() asks anew.
  void refused() noexcept { refresh_at_ = 0; }

 private:
  std::string file_;
  Clock& clock_;
  const std::atomic<bool>& stop_;
  Variable variable_;
  std::unique_ptr<Client> imds_;
  RoleCredentials role_;
  TimeNs refresh_at_ = 0;

  std::string value(const char* name) const;
  std::optional<Credentials> from_environment() const;
  std::optional<Credentials> from_file(std::string& trouble) const;
  std::optional<Credentials> from_role(std::string& trouble);
  std::optional<RoleCredentials> fetch_role(std::string& trouble);
};

}  // namespace fffa::aws
