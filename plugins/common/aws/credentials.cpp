// SPDX-License-Identifier: MIT
#include "fffa_aws/credentials.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>

namespace fffa::aws {
namespace {

constexpr std::size_t kMaxFile = 256 * 1024;
constexpr std::size_t kMaxKey = 8192;  // session tokens are long
constexpr TimeNs kSecond = 1'000'000'000;
constexpr TimeNs kBeforeExpiry = 300 * kSecond;
constexpr TimeNs kTryAgain = 2 * kSecond;
constexpr std::string_view kRolePath = "/latest/meta-data/iam/security-credentials/";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// They become part of a header.
bool usable(std::string_view key) {
  return key.size() <= kMaxKey && std::ranges::all_of(key, [](char c) { return c > ' ' && c <= '~'; });
}
bool usable(const Credentials& credentials) {
  return !credentials.empty() && usable(credentials.access_key) && usable(credentials.secret_key) &&
         usable(credentials.session_token);
}

std::optional<TimeNs> parse_time(const std::string& text) {
  std::tm time{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &time);
  if (end == nullptr || *end != 0 || time.tm_year < 70 || time.tm_year > 300) return std::nullopt;
  return TimeNs{::timegm(&time)} * kSecond;
}

bool is_role_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("+=,.@_-").find(c) != std::string_view::npos;
  });
}

}  // namespace

std::optional<Credentials> parse_credentials_file(std::string_view text, std::string_view profile) {
  Credentials found;
  bool wanted = false;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      wanted = line.back() == ']' && trimmed(line.substr(1, line.size() - 2)) == profile;
      continue;
    }
    const auto equals = line.find('=');
    if (!wanted || equals == line.npos) continue;
    const auto name = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
    if (name == "aws_access_key_id") found.access_key = value;
    if (name == "aws_secret_access_key") found.secret_key = value;
    if (name == "aws_session_token") found.session_token = value;
  }
  return usable(found) ? std::optional(found) : std::nullopt;
}

std::optional<RoleCredentials> parse_role_credentials(std::string_view json) {
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_object()) return std::nullopt;
  const auto text = [&document](const char* name) {
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  RoleCredentials role{{text("AccessKeyId"), text("SecretAccessKey"), text("Token")}, 0};
  const auto expires = parse_time(text("Expiration"));
  const auto code = text("Code");
  if (!expires || !usable(role.credentials) || (!code.empty() && code != "Success")) return std::nullopt;
  role.expires = *expires;
  return role;
}

CredentialSource::CredentialSource(std::string file, Clock& clock, const std::atomic<bool>& stop, Variable variable)
    : file_(std::move(file)), clock_(clock), stop_(stop), variable_(variable) {
  if (file_.empty() && !imds_disabled(variable))
    imds_ = std::make_unique<Client>(client_options(variable), clock, stop);
}

std::string CredentialSource::value(const char* name) const {
  const char* text = variable_(name);
  return text == nullptr ? std::string() : std::string(text);
}

Result<Credentials> CredentialSource::get() {
  std::string file_trouble, role_trouble;
  if (file_.empty()) {
    if (auto found = from_environment()) return *found;
  }
  if (auto found = from_file(file_trouble)) return *found;
  if (!file_.empty()) return retry("no credentials: " + file_trouble);
  if (auto found = from_role(role_trouble)) return *found;
  return retry("no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set; " + file_trouble + "; " +
               role_trouble);
}

std::optional<Credentials> CredentialSource::from_environment() const {
  Credentials found{value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), value("AWS_SESSION_TOKEN")};
  return usable(found) ? std::optional(found) : std::nullopt;
}

// Read every time: whoever rotates the keys need not tell us.
std::optional<Credentials> CredentialSource::from_file(std::string& trouble) const {
  auto path = file_.empty() ? value("AWS_SHARED_CREDENTIALS_FILE") : file_;
  if (path.empty()) {
    const auto home = value("HOME");
    if (home.empty()) {
      trouble = "no AWS_SHARED_CREDENTIALS_FILE";
      return std::nullopt;
    }
    path = home + "/.aws/credentials";
  }
  const auto profile = value("AWS_PROFILE").empty() ? "default" : value("AWS_PROFILE");

  std::ifstream in(path, std::ios::binary);
  if (!in) {
    trouble = path + ": " + std::generic_category().message(errno == 0 ? ENOENT : errno);
    return std::nullopt;
  }
  std::string text(kMaxFile, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  auto found = parse_credentials_file(text, profile);
  if (!found) trouble = path + " has no keys of the profile `" + profile + "`";
  return found;
}

std::optional<Credentials> CredentialSource::from_role(std::string& trouble) {
  if (!imds_) {
    trouble = "AWS_EC2_METADATA_DISABLED is set";
    return std::nullopt;
  }
  const TimeNs now = clock_.now();
  if (now >= refresh_at_) {
    if (auto fetched = fetch_role(trouble)) {
      role_ = std::move(*fetched);
      refresh_at_ = role_.expires - std::min(kBeforeExpiry, std::max<TimeNs>(0, role_.expires - now) / 2);
    } else {
      refresh_at_ = now + kTryAgain;  // not with every request
    }
  }
  if (role_.credentials.empty() || now >= role_.expires) {
    if (trouble.empty()) trouble = "the instance's role has credentials that have expired";
    return std::nullopt;
  }
  return role_.credentials;
}

std::optional<RoleCredentials> CredentialSource::fetch_role(std::string& trouble) {
  const auto list = imds_->get(kRolePath);
  if (list.kind != Reply::Kind::ok) {
    trouble = list.kind == Reply::Kind::absent ? "the instance has no role" : list.text;
    return std::nullopt;
  }
  const auto name = trimmed(std::string_view(list.text).substr(0, list.text.find('\n')));
  if (!is_role_name(name)) {
    trouble = "the instance's role has a name that is none";
    return std::nullopt;
  }
  const auto reply = imds_->get(std::string(kRolePath).append(name));
  if (reply.kind != Reply::Kind::ok) {
    trouble = reply.text;
    return std::nullopt;
  }
  auto role = parse_role_credentials(reply.text);
  if (!role) trouble = "the credentials of the role " + std::string(name) + " are not as they should be";
  return role;
}

}  // namespace fffa::aws
