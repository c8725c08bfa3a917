// SPDX-License-Identifier: MIT
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <libnftnl/trace.h>

#include <cstring>
#include <memory>

#include "nft_socket.h"

namespace fffa::ebpf {
namespace {

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}
std::uint16_t word_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

bool set_ports(Tuple& tuple, std::string_view transport) {
  switch (tuple.protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
      if (transport.size() < 4) return false;
      tuple.src_port = word_at(transport, 0);
      tuple.dst_port = word_at(transport, 2);
      return true;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      if (transport.size() < 2) return false;
      tuple.dst_port = word_at(transport, 0);
      return true;
    default: return true;
  }
}

bool is_extension(std::uint8_t protocol) {
  return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
         protocol == IPPROTO_DSTOPTS;
}

std::string_view data_of(const nftnl_trace* trace, std::uint16_t attribute) {
  std::uint32_t size = 0;
  const void* data = nftnl_trace_get_data(trace, attribute, &size);
  return data != nullptr ? std::string_view(static_cast<const char*>(data), size) : std::string_view();
}

std::string text_of(const nftnl_trace* trace, std::uint16_t attribute) {
  const char* text = nftnl_trace_get_str(trace, attribute);
  return text != nullptr ? text : "";
}

TraceEvent::Type type_of(const nftnl_trace* trace) {
  switch (nftnl_trace_get_u32(trace, NFTNL_TRACE_TYPE)) {
    case NFT_TRACETYPE_POLICY: return TraceEvent::Type::policy;
    case NFT_TRACETYPE_RETURN: return TraceEvent::Type::return_;
    case NFT_TRACETYPE_RULE: return TraceEvent::Type::rule;
    default: return TraceEvent::Type::other;
  }
}

}  // namespace

std::optional<Tuple> parse_headers(std::string_view network, std::string_view transport) {
  Tuple tuple;
  if (network.empty()) return std::nullopt;
  const int version = byte_at(network, 0) >> 4;
  if (version == 4 && network.size() >= 20) {
    if ((word_at(network, 6) & 0x1fff) != 0) return std::nullopt;
    tuple.protocol = byte_at(network, 9);
    std::memcpy(tuple.src.data(), network.data() + 12, 4);
    std::memcpy(tuple.dst.data(), network.data() + 16, 4);
  } else if (version == 6 && network.size() >= 40) {
    tuple.protocol = byte_at(network, 6);
    std::memcpy(tuple.src.data(), network.data() + 8, 16);
    std::memcpy(tuple.dst.data(), network.data() + 24, 16);
    // the message has the fixed header only: what follows the extensions is not known
    if (is_extension(tuple.protocol)) return std::nullopt;
  } else {
    return std::nullopt;
  }
  tuple.family = static_cast<std::uint8_t>(version);
  if (!set_ports(tuple, transport)) return std::nullopt;
  return tuple;
}

std::optional<TraceEvent> parse_trace(const nlmsghdr& header) {
  const std::unique_ptr<nftnl_trace, decltype(&nftnl_trace_free)> trace(nftnl_trace_alloc(), &nftnl_trace_free);
  if (!trace || nftnl_trace_nlmsg_parse(&header, trace.get()) != 0) return std::nullopt;
  TraceEvent event;
  event.id = nftnl_trace_get_u32(trace.get(), NFTNL_TRACE_ID);
  event.type = type_of(trace.get());
  event.family = static_cast<std::uint8_t>(nftnl_trace_get_u32(trace.get(), NFTNL_TRACE_FAMILY));
  event.table = text_of(trace.get(), NFTNL_TRACE_TABLE);
  event.chain = text_of(trace.get(), NFTNL_TRACE_CHAIN);
  if (nftnl_trace_is_set(trace.get(), NFTNL_TRACE_RULE_HANDLE))
    event.handle = nftnl_trace_get_u64(trace.get(), NFTNL_TRACE_RULE_HANDLE);
  const bool policy = event.type == TraceEvent::Type::policy;
  const std::uint16_t verdict = policy ? NFTNL_TRACE_POLICY : NFTNL_TRACE_VERDICT;
  if (nftnl_trace_is_set(trace.get(), verdict))
    event.verdict = static_cast<std::int32_t>(nftnl_trace_get_u32(trace.get(), verdict));
  event.headers = nftnl_trace_is_set(trace.get(), NFTNL_TRACE_NETWORK_HEADER);
  if (!event.headers) return event;
  const auto tuple = parse_headers(data_of(trace.get(), NFTNL_TRACE_NETWORK_HEADER),
                                   data_of(trace.get(), NFTNL_TRACE_TRANSPORT_HEADER));
  if (tuple) event.flow = TracedFlow{*tuple, nftnl_trace_get_u32(trace.get(), NFTNL_TRACE_IIF)};
  return event;
}

}  // namespace fffa::ebpf
