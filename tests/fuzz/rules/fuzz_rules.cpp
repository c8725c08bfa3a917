// SPDX-License-Identifier: MIT
// Texts of rules from hostile listings, apart by a byte 1: nft's listing, iptables' listing, a comment, headers; then
// the bytes of trace messages. Whatever comes out is printable UTF-8 of bounded length.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../require.h"
#include "nft_socket.h"
#include "rule_text.h"
#include "trace_join.h"

namespace {

using namespace fffa::ebpf;
using fffa::fuzz::require;

void check(const std::string& text) {
  require(text.size() <= kMaxMatchText);
  require(clean_text(text) == text);
  require(std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
}

std::vector<ListedTable> tables(const std::string& comment) {
  ListedRule plain, commented;
  plain.handle = 3;
  commented.handle = 4;
  commented.comment = comment;
  ListedChain base, user;
  base.name = "INPUT";
  base.handle = 1;
  base.base = true;
  base.rules = {plain, commented};
  user.name = "USER";
  user.handle = 2;
  user.rules = {plain};
  ListedTable table;
  table.family = 2;
  table.name = "filter";
  table.chains = {base, user};
  return {table};
}

void check(const std::vector<ListedTable>& all) {
  require(all.size() == 1 && all[0].chains.size() == 2);
  require(all[0].chains[0].rules.size() == 2 && all[0].chains[1].rules.size() == 1);
  for (const auto& chain : all[0].chains) {
    for (const auto& rule : chain.rules) {
      check(rule.text.target);
      check(rule.text.match);
    }
  }
}

// Four bytes a message: id and kind, chain, verdict, time that passed.
void join(std::string_view bytes) {
  std::size_t told = 0;
  TraceJoin::TimePoint now{};
  TraceJoin traces([](const TraceEvent& event) { return event.table == "fffa"; },
                   [&](const TracedPacket& packet) {
                     ++told;
                     require(!packet.runs.empty() && packet.runs.size() <= TraceJoin::kMaxRuns);
                   });
  std::size_t messages = 0;
  for (; bytes.size() >= 4; bytes.remove_prefix(4), ++messages) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    TraceEvent event;
    event.id = at(0) & 3U;
    event.type = static_cast<TraceEvent::Type>(at(0) >> 2 & 3U);
    event.headers = (at(0) & 16) != 0;
    event.table = (at(0) & 32) != 0 ? "fffa" : "t";
    if ((at(0) & 64) != 0) event.handle = at(1);
    if ((at(0) & 128) != 0) event.flow = TracedFlow{};
    event.chain = std::string(1, static_cast<char>(at(1)));
    event.verdict = static_cast<signed char>(at(2));
    now += std::chrono::milliseconds(at(3));
    traces.add(event, now);
    if ((at(3) & 1) != 0) traces.settle(now);
  }
  traces.settle(now + std::chrono::hours(1));
  require(traces.size() == 0 && !traces.waiting());
  require(told <= messages + 4);
}

std::string_view take(std::string_view& text) {
  const std::string_view part = text.substr(0, text.find('\x01'));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view nft = take(text), iptables = take(text);
  const std::string comment(take(text));
  auto listed = tables(comment);
  (void)read_nft_listing(nft, listed);
  check(listed);
  auto as_iptables = listed;
  require(read_iptables_listing(iptables, as_iptables[0]) == as_iptables[0].iptables);
  check(as_iptables);
  const auto rule = parse_nft_rule(nft, comment);
  check(rule.target);
  check(rule.match);
  const std::string_view network = take(text);
  if (const auto tuple = parse_headers(network, comment)) require(tuple->family == 4 || tuple->family == 6);
  join(text);
  return 0;
}
