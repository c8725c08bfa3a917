// SPDX-License-Identifier: MIT
#include "nft_context.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <nftables/libnftables.h>

#include <mutex>

#include "fffa/detail/descriptor.h"
#include "rule_text.h"

namespace fffa::ebpf {

void NftContext::Free::operator()(nft_ctx* context) const noexcept {
  nft_ctx_free(context);
}

Result<NftContext> NftContext::open() {
  if (const Descriptor probe(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)); !probe)
    return system_error("open a netfilter netlink socket", errno, Disposition::unavailable);
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  if (context == nullptr) return unavailable("libnftables: no context");
  NftContext made(context);
  nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_TERSE);
  if (nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0)
    return unavailable("libnftables: no memory for its output");
  return made;
}

Result<std::string> NftContext::run(const std::string& commands) {
  // libnftables promises nothing about threads
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const int failed = nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  const char* output = nft_ctx_get_output_buffer(context_.get());
  const char* errors = nft_ctx_get_error_buffer(context_.get());
  if (failed != 0) {
    const int cause = errno;
    Error error = unavailable("nftables: " + clean_text(errors != nullptr ? errors : "", 300));
    error.system_errno = cause;
    return error;
  }
  return std::string(output != nullptr ? output : "");
}

Result<std::string> NftContext::make_own_table(const std::string& name, const std::string& body) {
  constexpr int kNames = 9;
  Error last;
  const auto says = [&last](const char* what) { return last.message.find(what) != std::string::npos; };
  for (int i = 1; i <= kNames; ++i) {
    const std::string table = i == 1 ? name : name + "_" + std::to_string(i);
    // of a block behind `create`, nft 1.0.6 takes the flags only
    std::string text = "create table inet ";
    text.append(table).append(" { flags owner; }\ntable inet ").append(table);
    text.append(" {\nflags owner\n").append(body).append("}\n");
    const auto made = run(text);
    if (made) return table;
    last = made.error();
    // a table that belongs to another process is not permitted rather than there already
    if (!says("File exists") && !says("not permitted")) break;
  }
  if (says("not supported")) last.message += " (a table of one's own needs Linux 5.12)";
  if (says("not permitted")) last.message += " (this needs CAP_NET_ADMIN)";
  last.message = "make the table inet " + name + ": " + last.message;
  last.disposition = Disposition::unavailable;
  return last;
}

}  // namespace fffa::ebpf
