// SPDX-License-Identifier: MIT
#include "fffa/fields.h"

#include <algorithm>
#include <array>
#include <utility>

#include "field_table.h"

namespace fffa {
namespace {

// A fixed text of at most N characters, made at compile time.
template <std::size_t N>
struct Name {
  std::array<char, N> text{};
  std::uint8_t size = 0;
  constexpr void add(std::string_view part) {
    for (const char c : part) text[size++] = c;
  }
  constexpr std::string_view view() const { return {text.data(), size}; }
};

constexpr auto kProtocols = [] {
  std::array<Name<9>, 256> names{};
  for (unsigned protocol = 0; protocol < names.size(); ++protocol) {
    auto& name = names[protocol];
    switch (protocol) {
      case 1: name.add("ICMP"); continue;
      case 6: name.add("TCP"); continue;
      case 17: name.add("UDP"); continue;
      case 58: name.add("ICMPv6"); continue;
      default: name.add("PROTO_");
    }
    bool started = false;
    for (const unsigned unit : {100u, 10u, 1u}) {
      const unsigned digit = protocol / unit % 10;
      started |= digit != 0 || unit == 1;
      if (started) name.text[name.size++] = static_cast<char>('0' + digit);
    }
  }
  return names;
}();

constexpr auto kTcpFlags = [] {
  constexpr std::pair<unsigned, std::string_view> kOrder[] = {{2, "SYN"}, {16, "ACK"}, {1, "FIN"},  {4, "RST"},
                                                              {8, "PSH"}, {32, "URG"}, {64, "ECE"}, {128, "CWR"}};
  std::array<Name<31>, 256> names{};
  for (unsigned flags = 0; flags < names.size(); ++flags) {
    auto& name = names[flags];
    for (const auto& [bit, text] : kOrder) {
      if ((flags & bit) == 0) continue;
      if (name.size != 0) name.add("|");
      name.add(text);
    }
    if (flags == 0) name.add("NONE");
  }
  return names;
}();

constexpr std::string_view kConnStates[] = {"",     "S0",   "S1",     "SF",    "REJ", "S2",  "S3",
                                            "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH",  "SHR", "OTH"};
constexpr std::string_view kEndReasons[] = {"",           "idle timeout",     "active timeout", "end of flow",
                                            "forced end", "lack of resources"};
constexpr std::string_view kVerdicts[] = {"", "ACCEPT", "DROP", "REJECT", "QUEUE", "STOLEN", "REPEAT", "STOP"};
constexpr std::string_view kHooks[] = {
    "", "NF_INET_PRE_ROUTING", "NF_INET_LOCAL_IN", "NF_INET_FORWARD", "NF_INET_LOCAL_OUT", "NF_INET_POST_ROUTING"};

template <typename Enum, std::size_t N>
std::string_view pick(const std::string_view (&names)[N], Enum value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : std::string_view{};
}

}  // namespace

std::span<const Field> fields() noexcept {
  return detail::kFields;
}

const Field* find_field(std::string_view name) noexcept {
  const auto all = fields();
  const auto found = std::ranges::find(all, name, &Field::name);
  return found == all.end() ? nullptr : &*found;
}

std::string_view protocol_name(std::uint8_t protocol) noexcept {
  return kProtocols[protocol].view();
}
std::string_view conn_state_name(ConnState state) noexcept {
  return pick(kConnStates, state);
}
std::string_view end_reason_name(FlowEndReason reason) noexcept {
  return pick(kEndReasons, reason);
}

std::string_view verdict_name(Verdict verdict) noexcept {
  return pick(kVerdicts, verdict);
}
std::string_view hook_name(NetfilterHook hook) noexcept {
  return pick(kHooks, hook);
}

namespace detail {
std::string_view tcp_flags_name(std::uint8_t flags) noexcept {
  return kTcpFlags[flags].view();
}
}  // namespace detail

}  // namespace fffa
