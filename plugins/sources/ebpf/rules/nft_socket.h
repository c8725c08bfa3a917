// SPDX-License-Identifier: MIT
// The netlink side of nftables: messages as they come, and the ruleset's structure as the kernel lists it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/result.h"
#include "rule_text.h"
#include "trace_join.h"

struct nlmsghdr;

namespace fffa::ebpf {

// Trace messages and changes of the ruleset on one socket, hence in the order in which they happened.
class NftEvents {
 public:
  struct Handlers {
    std::function<void(const TraceEvent&)> trace;
    std::function<void(std::uint8_t family, const std::string& table)> table_gone;
    std::function<void(std::uint8_t family, const std::string& table, const std::string& chain)> chain_gone;
    std::function<void(std::uint8_t family, const std::string& table, std::uint64_t handle)> rule_gone;
    std::function<void()> changed;  // tables, chains or rules, not the elements of sets
    std::function<void()> overrun;  // messages were lost
  };
  static Result<NftEvents> open();
  int fd() const noexcept { return socket_.get(); }
  // Everything that is there, but not more than some thousand messages at a time.
  void read(const Handlers& handlers);

 private:
  explicit NftEvents(Descriptor socket) : socket_(std::move(socket)) {}
  Descriptor socket_;
};

// A ruleset's tables, chains and rules, without texts.
class NftDump {
 public:
  static Result<NftDump> open();
  Result<std::uint32_t> generation();
  // Each family's tables in the order in which nft lists them. Errno EINTR: it changed meanwhile.
  Result<std::vector<ListedTable>> tables();

 private:
  explicit NftDump(Descriptor socket) : socket_(std::move(socket)) {}
  Result<void> request(int type, bool list, const std::function<void(const nlmsghdr&)>& visit);
  Descriptor socket_;
  std::uint32_t sequence_ = 0;
};

// For tests: one message of the trace group.
std::optional<TraceEvent> parse_trace(const nlmsghdr& header);
// What the headers say; nothing where they are incomplete, or of a later fragment.
std::optional<Tuple> parse_headers(std::string_view network, std::string_view transport);

}  // namespace fffa::ebpf
