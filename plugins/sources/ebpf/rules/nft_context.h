// SPDX-License-Identifier: MIT
// libnftables: commands as text, on a netlink socket that is kept.
#pragma once

#include <memory>
#include <string>

#include "fffa/result.h"

struct nft_ctx;

namespace fffa::ebpf {

// A table made with `flags owner` lives as long as the context that made it. run() from any thread.
class NftContext {
 public:
  // Fails where libnftables would end the process: it does so when it gets no netlink socket.
  static Result<NftContext> open();
  // What the commands print: stateless, with handles, without the elements of named sets.
  Result<std::string> run(const std::string& commands);
  // Makes an `inet` table that belongs to this process, called `name`, or name_2 and so on where that is taken; `body`
  // is what stands in it. Its name.
  Result<std::string> make_own_table(const std::string& name, const std::string& body);

 private:
  struct Free {
    void operator()(nft_ctx* context) const noexcept;
  };
  explicit NftContext(nft_ctx* context) : context_(context) {}
  std::unique_ptr<nft_ctx, Free> context_;
};

}  // namespace fffa::ebpf
