// SPDX-License-Identifier: MIT
// What crosses the plugin boundary, as text: sizes, offsets, numbers of enumerators, places of virtual functions.
// Printed (sdk_abi) and compared with layout.txt: a difference means that plugins built before do not fit any more.
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "fffa/plugin.h"

#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace {

using namespace fffa;

std::ostringstream text;

void line(const char* what, std::size_t value) {
  text << what << ' ' << value << '\n';
}

// Which entry of the class's table a virtual function has (Itanium C++ ABI: a pointer to it holds the offset).
template <typename Function>
std::size_t slot(Function function) {
  std::uintptr_t offset = 0;
  std::memcpy(&offset, &function, sizeof offset);
  return (offset & ~std::uintptr_t{1}) / sizeof(void*);
}

#define FFFA_TYPE(Type) line(#Type " size", sizeof(Type)), line(#Type " align", alignof(Type))
#define FFFA_MEMBER(Type, member) line(#Type "::" #member, offsetof(Type, member))
#define FFFA_VALUE(value) line(#value, static_cast<std::size_t>(value))
#define FFFA_SLOT(function) line(#function "()", slot(&function))

void record() {
  FFFA_TYPE(FlowRecord);
  FFFA_MEMBER(FlowRecord, flow);
  FFFA_MEMBER(FlowRecord, outer);
  FFFA_MEMBER(FlowRecord, host);
  FFFA_MEMBER(FlowRecord, interface);
  FFFA_MEMBER(FlowRecord, ifindex);
  FFFA_MEMBER(FlowRecord, vni);
  FFFA_MEMBER(FlowRecord, encapsulation);
  FFFA_MEMBER(FlowRecord, direction);
  FFFA_MEMBER(FlowRecord, vlan_id);
  FFFA_MEMBER(FlowRecord, present);
  FFFA_MEMBER(FlowRecord, run_id);
  FFFA_MEMBER(FlowRecord, sequence);
  FFFA_MEMBER(FlowRecord, emitted);
  FFFA_MEMBER(FlowRecord, packets);
  FFFA_MEMBER(FlowRecord, bytes);
  FFFA_MEMBER(FlowRecord, outer_bytes);
  FFFA_MEMBER(FlowRecord, first_seen);
  FFFA_MEMBER(FlowRecord, last_seen);
  FFFA_MEMBER(FlowRecord, new_packets);
  FFFA_MEMBER(FlowRecord, new_bytes);
  FFFA_MEMBER(FlowRecord, tcp_flags);
  FFFA_MEMBER(FlowRecord, vpc_tcp_flags);
  FFFA_MEMBER(FlowRecord, initiator);
  FFFA_MEMBER(FlowRecord, conn_state);
  FFFA_MEMBER(FlowRecord, handshake_latency_us);
  FFFA_MEMBER(FlowRecord, fast_retransmits);
  FFFA_MEMBER(FlowRecord, timeout_retransmits);
  FFFA_MEMBER(FlowRecord, spurious_retransmissions);
  FFFA_MEMBER(FlowRecord, out_of_order_pkts);
  FFFA_MEMBER(FlowRecord, duplicate_acks);
  FFFA_MEMBER(FlowRecord, zero_windows);
  FFFA_MEMBER(FlowRecord, jitter_sum_us);
  FFFA_MEMBER(FlowRecord, jitter_samples);
  FFFA_MEMBER(FlowRecord, max_jitter_us);
  FFFA_MEMBER(FlowRecord, min_window_size);
  FFFA_MEMBER(FlowRecord, max_window_size);
  FFFA_MEMBER(FlowRecord, last_window_size);
  FFFA_MEMBER(FlowRecord, rtt_sum_us);
  FFFA_MEMBER(FlowRecord, rtt_samples);
  FFFA_MEMBER(FlowRecord, min_rtt_us);
  FFFA_MEMBER(FlowRecord, max_rtt_us);
  FFFA_MEMBER(FlowRecord, ecn_ce_packets);
  FFFA_MEMBER(FlowRecord, tcp_ece_packets);
  FFFA_MEMBER(FlowRecord, tcp_cwr_packets);
  FFFA_MEMBER(FlowRecord, ecn_flags);
  FFFA_MEMBER(FlowRecord, window_scale);
  FFFA_MEMBER(FlowRecord, netfilter_verdict);
  FFFA_MEMBER(FlowRecord, netfilter_hook);
  FFFA_MEMBER(FlowRecord, netfilter_priority);
  FFFA_MEMBER(FlowRecord, netfilter_table);
  FFFA_MEMBER(FlowRecord, netfilter_chain);
  FFFA_MEMBER(FlowRecord, netfilter_target);
  FFFA_MEMBER(FlowRecord, netfilter_match_info);
  FFFA_MEMBER(FlowRecord, netfilter_rule_num);
  FFFA_MEMBER(FlowRecord, netfilter_accepts);
  FFFA_MEMBER(FlowRecord, netfilter_drops);
  FFFA_MEMBER(FlowRecord, netfilter_rejects);
  FFFA_MEMBER(FlowRecord, netfilter_queues);
  FFFA_MEMBER(FlowRecord, refused_packets);
  FFFA_MEMBER(FlowRecord, refused_bytes);
  FFFA_MEMBER(FlowRecord, refused_first_seen);
  FFFA_MEMBER(FlowRecord, refused_last_seen);
  FFFA_MEMBER(FlowRecord, refused_vpc_tcp_flags);
  FFFA_MEMBER(FlowRecord, drop_reason);
  FFFA_MEMBER(FlowRecord, drops);
  FFFA_MEMBER(FlowRecord, nat);
  FFFA_MEMBER(FlowRecord, aws);
  FFFA_MEMBER(FlowRecord, gwlb_endpoint_id);
  FFFA_MEMBER(FlowRecord, gwlb_attachment_id);
  FFFA_MEMBER(FlowRecord, gwlb_flow_cookie);
  FFFA_MEMBER(FlowRecord, flow_end_reason);
  FFFA_MEMBER(FlowRecord, cumulative);
  FFFA_MEMBER(FlowRecord, incomplete);
  FFFA_MEMBER(FlowRecord, label_count);
  FFFA_MEMBER(FlowRecord, labels_lost);
  FFFA_MEMBER(FlowRecord, labels);
}

void batch() {
  FFFA_TYPE(Tuple);
  FFFA_TYPE(AwsIdentity);
  FFFA_TYPE(FlowKey);
  FFFA_TYPE(Batch);
  FFFA_MEMBER(Batch, records);
  FFFA_MEMBER(Batch, window);
  FFFA_MEMBER(Batch, watermark);
  FFFA_MEMBER(Batch, interfaces);
  FFFA_TYPE(InterfaceStatus);
  FFFA_MEMBER(InterfaceStatus, interface);
  FFFA_MEMBER(InterfaceStatus, ifindex);
  FFFA_MEMBER(InterfaceStatus, up);
  FFFA_MEMBER(InterfaceStatus, seen);
  FFFA_MEMBER(InterfaceStatus, filtered);
  FFFA_MEMBER(InterfaceStatus, lost);
  FFFA_MEMBER(InterfaceStatus, aws);
  FFFA_MEMBER(InterfaceStatus, primary_ipv4);
  FFFA_MEMBER(InterfaceStatus, primary_ipv6);
  FFFA_TYPE(TextTable);
  FFFA_TYPE(Result<void>);
  FFFA_TYPE(Result<std::unique_ptr<Stage>>);
  FFFA_TYPE(Error);
  FFFA_TYPE(Ticket);
  FFFA_TYPE(Completion);
  FFFA_TYPE(Formatter);
}

void descriptor() {
  FFFA_TYPE(PluginDescriptor);
  FFFA_MEMBER(PluginDescriptor, size);
  FFFA_MEMBER(PluginDescriptor, abi_version);
  FFFA_MEMBER(PluginDescriptor, build_tag);
  FFFA_MEMBER(PluginDescriptor, version);
  FFFA_MEMBER(PluginDescriptor, stages);
  FFFA_MEMBER(PluginDescriptor, stage_count);
  FFFA_TYPE(StageType);
  FFFA_MEMBER(StageType, kind);
  FFFA_MEMBER(StageType, name);
  FFFA_MEMBER(StageType, summary);
  FFFA_MEMBER(StageType, schema);
  FFFA_MEMBER(StageType, check);
  FFFA_MEMBER(StageType, create);
  FFFA_MEMBER(StageType, resources);
  FFFA_MEMBER(StageType, emits);
  FFFA_MEMBER(StageType, accepts_cumulative);
  FFFA_MEMBER(StageType, reads_once);
  FFFA_MEMBER(StageType, reads_again);
  FFFA_MEMBER(StageType, probe);
  FFFA_TYPE(Resource);
  FFFA_TYPE(Probe);
  FFFA_TYPE(Finding);
  FFFA_TYPE(InterfaceInfo);
}

void configuration() {
  FFFA_TYPE(ConfigNode);
  FFFA_MEMBER(ConfigNode, value);
  FFFA_MEMBER(ConfigNode, quoted);
  FFFA_MEMBER(ConfigNode, secret);
  FFFA_MEMBER(ConfigNode, at);
  FFFA_MEMBER(ConfigNode, items);
  FFFA_MEMBER(ConfigNode, entries);
  FFFA_TYPE(ConfigNode::Entry);
  FFFA_TYPE(Location);
  FFFA_TYPE(Diagnostic);
  FFFA_TYPE(Diagnostics);
  FFFA_TYPE(Schema);
  FFFA_MEMBER(Schema, minimum);
  FFFA_MEMBER(Schema, choices);
  FFFA_MEMBER(Schema, element);
  FFFA_MEMBER(Schema, options);
  FFFA_TYPE(Schema::Choice);
  FFFA_TYPE(Option);
  FFFA_MEMBER(Option, required);
  FFFA_MEMBER(Option, schema);
}

void numbers() {
  FFFA_VALUE(StageKind::async_sink);
  FFFA_VALUE(RecordKind::cumulative);
  FFFA_VALUE(Outcome::lost);
  FFFA_VALUE(Outcome::held);
  FFFA_VALUE(Disposition::fatal);
  FFFA_VALUE(Disposition::unavailable);
  FFFA_VALUE(Disposition::gone);
  FFFA_VALUE(LogLevel::error);
  FFFA_VALUE(Direction::unknown);
  FFFA_VALUE(Encapsulation::geneve);
  FFFA_VALUE(ConnState::OTH);
  FFFA_VALUE(FlowEndReason::lack_of_resources);
  FFFA_VALUE(Verdict::stop);
  FFFA_VALUE(NetfilterHook::post_routing);
  FFFA_VALUE(Has::vlan);
  FFFA_VALUE(Schema::Kind::one_of);
  FFFA_VALUE(ConfigNode::Kind::map);
  FFFA_VALUE(Finding::Level::missing);
}

void stages() {
  FFFA_SLOT(Source::run);
  FFFA_SLOT(Source::start);
  FFFA_SLOT(Output::emit);
  FFFA_SLOT(Output::ready);
  FFFA_SLOT(Output::wait);
  FFFA_SLOT(Output::stopping);
  FFFA_SLOT(Output::settle);
  FFFA_SLOT(Enricher::enrich);
  FFFA_SLOT(Aggregator::add);
  FFFA_SLOT(Aggregator::resume);
  FFFA_SLOT(Emitter::emit);
  FFFA_SLOT(Emitter::room);
  FFFA_SLOT(Sink::write);
  FFFA_SLOT(Sink::close);
  FFFA_SLOT(AsyncSink::write);
  FFFA_SLOT(AsyncSink::flush);
  FFFA_SLOT(AsyncSink::close);
  FFFA_SLOT(Ticket::State::worsen);
  FFFA_SLOT(Completion::State::complete);
}

void host() {
  FFFA_SLOT(StageContext::id);
  FFFA_SLOT(StageContext::type);
  FFFA_SLOT(StageContext::log);
  FFFA_SLOT(StageContext::metrics);
  FFFA_SLOT(StageContext::clock);
  FFFA_SLOT(StageContext::texts);
  FFFA_SLOT(StageContext::host);
  FFFA_SLOT(StageContext::run_id);
  FFFA_SLOT(StageContext::state_directory);
  FFFA_SLOT(StageContext::post);
  FFFA_SLOT(StageContext::every);
  FFFA_SLOT(StageContext::background);
  FFFA_SLOT(StageContext::format);
  FFFA_SLOT(StageContext::degraded);
  FFFA_SLOT(StageContext::close_time);
  FFFA_SLOT(Logger::log);
  FFFA_SLOT(Logger::enabled);
  FFFA_SLOT(Counter::add);
  FFFA_SLOT(Counter::value);
  FFFA_SLOT(Gauge::set);
  FFFA_SLOT(Metrics::counter);
  FFFA_SLOT(Metrics::gauge);
  FFFA_SLOT(Clock::now);
  FFFA_SLOT(Clock::monotonic);
  FFFA_SLOT(RecordFormat::header);
  FFFA_SLOT(RecordFormat::append);
}

// The number of the layout, from its first line.
std::string version_of(const std::string& layout) {
  return layout.substr(0, layout.find('\n'));
}

int compare(const std::string& now, const char* file) {
  std::ifstream stream(file);
  const std::string golden{std::istreambuf_iterator<char>(stream), {}};
  if (golden == now) return 0;
  std::istringstream old_lines(golden), new_lines(now);
  for (std::string was, is; std::getline(new_lines, is);) {
    was.clear();
    std::getline(old_lines, was);
    if (was == is) continue;
    std::fprintf(stderr, "%s says `%s`, this build has `%s`\n", file, was.c_str(), is.c_str());
    break;
  }
  if (version_of(golden) == version_of(now)) {
    std::fprintf(stderr,
                 "What crosses the plugin boundary has changed: raise FFFA_ABI_VERSION in "
                 "sdk/include/fffa/detail/build_tag.h, then ");
  }
  std::fprintf(stderr, "write the new layout: tests/sdk_abi > sdk/abi/layout.txt\n");
  return 1;
}

}  // namespace

// Without arguments: prints the layout. With a file: compares.
int main(int argc, char** argv) {
  line("abi", kAbiVersion);
  record();
  batch();
  descriptor();
  configuration();
  numbers();
  stages();
  host();
  if (argc > 1) return compare(text.str(), argv[1]);
  std::fputs(text.str().c_str(), stdout);
  return 0;
}
