// SPDX-License-Identifier: MIT
#include "fffa/record_builder.h"

#include <algorithm>
#include <limits>

#include "field_table.h"

namespace fffa {

namespace detail {
struct RecordDraft {
  explicit RecordDraft(TextTable& table) : texts(table) {}
  TextTable& texts;
  FlowRecord record;
  FlowRecord previous;  // its texts are probably this record's, too
  Tuple outermost;
  std::uint8_t families = 0, outer_families = 0, nat_families = 0;  // of the addresses: 1 IPv4, 2 IPv6
  bool protocol = false, encapsulated = false, vni = false;
};
}  // namespace detail

namespace {

using detail::kFields;
using Draft = detail::RecordDraft;
using In = const Value&;
using Problem = std::string_view;  // empty: none

// A second after 1970, so that no format prints 0; and 2200-01-01: later than any clock says, and early enough to
// calculate with.
constexpr std::uint64_t kEarliest = 1'000'000'000;
constexpr std::uint64_t kLatest = 7'258'118'400'000'000'000;
// Of one record: more than any link carries in a year, and little enough to be added up without wrapping around.
constexpr std::uint64_t kMostPackets = std::uint64_t{1} << 44, kMostBytes = std::uint64_t{1} << 52;
constexpr std::uint8_t kIpv4 = 1, kIpv6 = 2;
constexpr std::uint8_t kGeneveProtocol = 17;

template <typename T>
Problem number(T& out, In value) {
  if (value.kind != Value::Kind::number) return "is not a number";
  if (value.number > std::numeric_limits<T>::max()) return "is too large a number";
  out = static_cast<T>(value.number);
  return {};
}

Problem boolean(bool& out, In value) {
  if (value.kind != Value::Kind::boolean && value.kind != Value::Kind::number) return "is neither true nor false";
  out = value.number != 0;
  return {};
}

Problem time(TimeNs& out, In value) {
  if (value.kind != Value::Kind::time || value.number < kEarliest || value.number > kLatest) return "is not a time";
  out = static_cast<TimeNs>(value.number);
  return {};
}

Problem address(Address& out, std::uint8_t& families, In value) {
  if (value.kind != Value::Kind::address) return "is not an address";
  families |= value.family == 4 ? kIpv4 : kIpv6;
  out = {};
  std::copy_n(value.address->begin(), value.family == 4 ? 4 : 16, out.begin());
  return {};
}

template <typename Member>
Problem text(Draft& draft, In value, Member member) {
  if (value.kind != Value::Kind::name) return "is not a text";
  Text& out = member(draft.record);
  const Text before = member(draft.previous);
  out = before != Text::null && draft.texts.view(before) == value.name ? before : draft.texts.intern(value.name);
  return {};
}

// Of the texts that tell flows apart: without them two would be one.
template <typename Member>
Problem key_text(Draft& draft, In value, Member member) {
  if (const auto problem = text(draft, value, member); !problem.empty()) return problem;
  return member(draft.record) == Text::null && !value.name.empty() ? "finds no room in the text table" : "";
}

// An enumeration, by the name that `name` gives each value up to `last`.
template <typename T>
Problem named(T& out, In value, unsigned last, std::string_view (*name)(T) noexcept) {
  if (value.kind != Value::Kind::name) return "is not a text";
  for (unsigned i = 0; i <= last; ++i) {
    if (name(static_cast<T>(i)) != value.name) continue;
    out = static_cast<T>(i);
    return {};
  }
  return "is none of the values that this field has";
}

Problem direction(Direction& out, In value) {
  if (value.kind != Value::Kind::number || value.number > 1) return "is neither 0 nor 1";
  out = static_cast<Direction>(value.number);
  return {};
}

Problem priority(std::int32_t& out, In value) {
  const auto wide = static_cast<std::int64_t>(value.number);
  if (value.kind != Value::Kind::signed_number && value.kind != Value::Kind::number) return "is not a number";
  if (wide != static_cast<std::int32_t>(wide)) return "is too large a number";
  out = static_cast<std::int32_t>(wide);
  return {};
}

// Made from other fields, and so not believed.
Problem derived(Draft&, In) {
  return {};
}

struct Setter {
  std::string_view field;
  Problem (*set)(Draft&, In);
};

using R = FlowRecord&;

// clang-format off
constexpr Setter kSetters[] = {
    {"version", [](Draft&, In v) -> Problem { return v.name == "3" ? "" : "is not version 3"; }},
    {"timestamp", [](Draft& d, In v) { return time(d.record.emitted, v); }},
    {"proto", [](Draft& d, In v) { d.protocol = true; return named(d.record.flow.protocol, v, 255, protocol_name); }},
    {"src_ip", [](Draft& d, In v) { return address(d.outermost.src, d.outer_families, v); }},
    {"src_port", [](Draft& d, In v) { return number(d.outermost.src_port, v); }},
    {"dst_ip", [](Draft& d, In v) { return address(d.outermost.dst, d.outer_families, v); }},
    {"dst_port", [](Draft& d, In v) { return number(d.outermost.dst_port, v); }},
    {"pkt_src_ip", [](Draft& d, In v) { return address(d.record.flow.src, d.families, v); }},
    {"pkt_src_port", [](Draft& d, In v) { return number(d.record.flow.src_port, v); }},
    {"pkt_dst_ip", [](Draft& d, In v) { return address(d.record.flow.dst, d.families, v); }},
    {"pkt_dst_port", [](Draft& d, In v) { return number(d.record.flow.dst_port, v); }},
    {"direction", [](Draft& d, In v) { return direction(d.record.direction, v); }},
    {"encapsulated", [](Draft& d, In v) { return boolean(d.encapsulated, v); }},
    {"packets", [](Draft& d, In v) { return number(d.record.packets, v); }},
    {"bytes", [](Draft& d, In v) { return number(d.record.bytes, v); }},
    {"first_seen", [](Draft& d, In v) { return time(d.record.first_seen, v); }},
    {"last_seen", [](Draft& d, In v) { return time(d.record.last_seen, v); }},
    {"duration_ms", derived},

    {"tcp_flags", [](Draft& d, In v) { d.record.set(Has::tcp); return named(d.record.tcp_flags, v, 255, detail::tcp_flags_name); }},
    {"vpc_tcp_flags", [](Draft& d, In v) { return number(d.record.vpc_tcp_flags, v); }},
    {"initiator", [](Draft& d, In v) { return boolean(d.record.initiator, v); }},
    {"conn_state", [](Draft& d, In v) { return named(d.record.conn_state, v, static_cast<unsigned>(ConnState::OTH), conn_state_name); }},
    {"handshake_latency_us", [](Draft& d, In v) { d.record.set(Has::handshake); return number(d.record.handshake_latency_us, v); }},
    {"retransmissions", derived},
    {"fast_retransmits", [](Draft& d, In v) { return number(d.record.fast_retransmits, v); }},
    {"timeout_retransmits", [](Draft& d, In v) { return number(d.record.timeout_retransmits, v); }},
    {"spurious_retransmissions", [](Draft& d, In v) { return number(d.record.spurious_retransmissions, v); }},
    {"avg_jitter_us", derived},
    {"max_jitter_us", [](Draft& d, In v) { return number(d.record.max_jitter_us, v); }},
    {"jitter_samples", [](Draft& d, In v) { return number(d.record.jitter_samples, v); }},
    {"jitter_sum_us", [](Draft& d, In v) { return number(d.record.jitter_sum_us, v); }},
    {"min_window_size", [](Draft& d, In v) { d.record.set(Has::window); return number(d.record.min_window_size, v); }},
    {"max_window_size", [](Draft& d, In v) { return number(d.record.max_window_size, v); }},
    {"last_window_size", [](Draft& d, In v) { return number(d.record.last_window_size, v); }},
    {"window_scale", [](Draft& d, In v) { d.record.set(Has::window_scale); return number(d.record.window_scale, v); }},
    {"out_of_order_pkts", [](Draft& d, In v) { return number(d.record.out_of_order_pkts, v); }},
    {"duplicate_acks", [](Draft& d, In v) { return number(d.record.duplicate_acks, v); }},
    {"zero_windows", [](Draft& d, In v) { return number(d.record.zero_windows, v); }},
    {"min_rtt_us", [](Draft& d, In v) { return number(d.record.min_rtt_us, v); }},
    {"max_rtt_us", [](Draft& d, In v) { return number(d.record.max_rtt_us, v); }},
    {"avg_rtt_us", derived},
    {"rtt_samples", [](Draft& d, In v) { return number(d.record.rtt_samples, v); }},
    {"rtt_sum_us", [](Draft& d, In v) { return number(d.record.rtt_sum_us, v); }},
    {"ecn_flags", [](Draft& d, In v) { return number(d.record.ecn_flags, v); }},
    {"ecn_ce_packets", [](Draft& d, In v) { return number(d.record.ecn_ce_packets, v); }},
    {"tcp_ece_packets", [](Draft& d, In v) { return number(d.record.tcp_ece_packets, v); }},
    {"tcp_cwr_packets", [](Draft& d, In v) { return number(d.record.tcp_cwr_packets, v); }},

    {"netfilter_verdict", [](Draft& d, In v) { return named(d.record.netfilter_verdict, v, static_cast<unsigned>(Verdict::stop), verdict_name); }},
    {"netfilter_hook", [](Draft& d, In v) { return named(d.record.netfilter_hook, v, static_cast<unsigned>(NetfilterHook::post_routing), hook_name); }},
    {"netfilter_priority", [](Draft& d, In v) { return priority(d.record.netfilter_priority, v); }},
    {"netfilter_table", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.netfilter_table; }); }},
    {"netfilter_chain", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.netfilter_chain; }); }},
    {"netfilter_rule_num", [](Draft& d, In v) { d.record.set(Has::rule); return number(d.record.netfilter_rule_num, v); }},
    {"netfilter_target", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.netfilter_target; }); }},
    {"netfilter_match_info", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.netfilter_match_info; }); }},
    {"netfilter_accepts", [](Draft& d, In v) { d.record.set(Has::netfilter); return number(d.record.netfilter_accepts, v); }},
    {"netfilter_drops", [](Draft& d, In v) { return number(d.record.netfilter_drops, v); }},
    {"netfilter_rejects", [](Draft& d, In v) { return number(d.record.netfilter_rejects, v); }},
    {"netfilter_queues", [](Draft& d, In v) { return number(d.record.netfilter_queues, v); }},
    {"refused_packets", [](Draft& d, In v) { d.record.set(Has::refused); return number(d.record.refused_packets, v); }},
    {"refused_bytes", [](Draft& d, In v) { return number(d.record.refused_bytes, v); }},
    {"refused_first_seen", [](Draft& d, In v) { return time(d.record.refused_first_seen, v); }},
    {"refused_last_seen", [](Draft& d, In v) { return time(d.record.refused_last_seen, v); }},
    {"refused_vpc_tcp_flags", [](Draft& d, In v) { return number(d.record.refused_vpc_tcp_flags, v); }},
    {"drop_reason", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.drop_reason; }); }},
    {"drops", [](Draft& d, In v) { d.record.set(Has::drops); return number(d.record.drops, v); }},
    {"nat_src_ip", [](Draft& d, In v) { return address(d.record.nat.src, d.nat_families, v); }},
    {"nat_src_port", [](Draft& d, In v) { d.record.set(Has::nat); return number(d.record.nat.src_port, v); }},
    {"nat_dst_ip", [](Draft& d, In v) { return address(d.record.nat.dst, d.nat_families, v); }},
    {"nat_dst_port", [](Draft& d, In v) { return number(d.record.nat.dst_port, v); }},

    {"aws_account", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.account; }); }},
    {"aws_vpc", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.vpc; }); }},
    {"aws_subnet", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.subnet; }); }},
    {"aws_instance", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.instance; }); }},
    {"aws_az", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.az; }); }},
    {"aws_az_id", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.az_id; }); }},
    {"aws_region", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.region; }); }},
    {"aws_eni", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.aws.eni; }); }},
    {"geneve_vni", [](Draft& d, In v) { d.vni = true; return number(d.record.vni, v); }},
    {"gwlb_endpoint_id", [](Draft& d, In v) { d.record.set(Has::gwlb_endpoint); return number(d.record.gwlb_endpoint_id, v); }},
    {"gwlb_attachment_id", [](Draft& d, In v) { d.record.set(Has::gwlb_attachment); return number(d.record.gwlb_attachment_id, v); }},
    {"gwlb_flow_cookie", [](Draft& d, In v) { d.record.set(Has::gwlb_cookie); return number(d.record.gwlb_flow_cookie, v); }},
    {"outer_bytes", [](Draft& d, In v) { return number(d.record.outer_bytes, v); }},
    {"community_id", derived},
    {"host", [](Draft& d, In v) { return key_text(d, v, [](R r) -> Text& { return r.host; }); }},
    {"run_id", [](Draft& d, In v) { return text(d, v, [](R r) -> Text& { return r.run_id; }); }},
    {"sequence", [](Draft& d, In v) { return number(d.record.sequence, v); }},
    {"interface", [](Draft& d, In v) { return key_text(d, v, [](R r) -> Text& { return r.interface; }); }},
    {"ifindex", [](Draft& d, In v) { return number(d.record.ifindex, v); }},
    {"vlan_id", [](Draft& d, In v) { d.record.set(Has::vlan); return number(d.record.vlan_id, v); }},
    {"flow_end_reason", [](Draft& d, In v) { return named(d.record.flow_end_reason, v, static_cast<unsigned>(FlowEndReason::lack_of_resources), end_reason_name); }},
    {"cumulative", [](Draft& d, In v) { return boolean(d.record.cumulative, v); }},
    {"incomplete", [](Draft& d, In v) { return boolean(d.record.incomplete, v); }},
    {"labels", [](Draft&, In) -> Problem { return "has names and values"; }},
};
// clang-format on
static_assert(std::size(kSetters) == kFields.size() &&
                  std::equal(std::begin(kSetters), std::end(kSetters), kFields.begin(),
                             [](const Setter& a, const Field& b) { return a.field == b.name; }),
              "every field of the table, in its order");

bool one_family(std::uint8_t families) {
  return families == kIpv4 || families == kIpv6;
}
std::uint8_t family_of(std::uint8_t families) {
  return families == kIpv4 ? 4 : 6;
}

// What the fields say together; empty: a record.
Problem complete(Draft& draft) {
  auto& record = draft.record;
  if (!draft.protocol) return "has no proto";
  if (!one_family(draft.families)) return "has no pkt_src_ip and pkt_dst_ip of one family";
  record.flow.family = family_of(draft.families);
  if (record.first_seen == 0 || record.last_seen < record.first_seen) return "has no first_seen before its last_seen";
  if (record.packets > kMostPackets || record.bytes > kMostBytes) return "has more packets or bytes than can be";
  if (draft.encapsulated) {
    if (!draft.vni) return "has no geneve_vni, though it is encapsulated";
    if (!one_family(draft.outer_families)) return "has no src_ip and dst_ip of one family";
    record.encapsulation = Encapsulation::geneve;
    record.outer = draft.outermost;
    record.outer.family = family_of(draft.outer_families);
    record.outer.protocol = kGeneveProtocol;
  }
  if (record.has(Has::nat)) {
    if (draft.nat_families != 0 && !one_family(draft.nat_families)) return "has nat addresses of two families";
    record.nat.family = draft.nat_families == 0 ? std::uint8_t{0} : family_of(draft.nat_families);
    record.nat.protocol = record.flow.protocol;
  }
  if (record.cumulative) {
    record.new_packets = record.packets;
    record.new_bytes = record.bytes;
  }
  return {};
}

}  // namespace

RecordBuilder::RecordBuilder(TextTable& texts) : draft_(std::make_unique<detail::RecordDraft>(texts)) {}
RecordBuilder::~RecordBuilder() = default;

void RecordBuilder::begin() {
  draft_->record = {};
  draft_->outermost = {};
  draft_->families = draft_->outer_families = draft_->nat_families = 0;
  draft_->protocol = draft_->encapsulated = draft_->vni = false;
}

bool RecordBuilder::set(std::size_t field, const Value& value) {
  if (value.kind == Value::Kind::null) return true;
  error_ = kSetters[field].set(*draft_, value);
  return error_.empty();
}

void RecordBuilder::label(std::string_view name, std::string_view value) {
  if (const Text handle = draft_->texts.intern(name); handle != Text::null)
    draft_->record.set_label(handle, draft_->texts.intern(value));
  else
    ++draft_->record.labels_lost;
}

bool RecordBuilder::finish(FlowRecord& record) {
  error_ = complete(*draft_);
  if (!error_.empty()) return false;
  record = draft_->previous = draft_->record;
  return true;
}

}  // namespace fffa
