// SPDX-License-Identifier: MIT
#include "capture.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "capture_builder_test.h"

namespace fffa::parity {
namespace {

using pcap::Bytes;
using pcap::Framed;
using pcap::Orienter;
using pcap::Packet;

constexpr std::size_t kEthernetHeader = 14;

// A packet of the capture, in memory of its own.
struct Kept {
  Packet packet;
  Bytes bytes;
};

// What an orienter makes of a copy: it may write into cooked headers.
struct Oriented {
  Bytes bytes;
  Framed framed;
  fffa_packet parsed{};
  int reason = FFFA_OK;
};

Oriented orient(Orienter& orienter, const Kept& kept, std::uint16_t link_type) {
  Oriented o;
  o.bytes = kept.bytes;
  Packet packet = kept.packet;
  packet.data = o.bytes.data();
  o.reason = orienter(packet, link_type, o.parsed, o.framed);
  return o;
}

// The frame with Ethernet's header, whole: what the capture does not have is zero.
Bytes whole_frame(const Framed& framed) {
  Bytes out;
  const auto* begin = framed.frame.data;
  if (!framed.ethernet) {
    out.assign(kEthernetHeader, 0);
    const bool six = begin != framed.frame.end && *begin >> 4 == 6;
    out[12] = six ? 0x86 : 0x08;
    out[13] = six ? 0xdd : 0x00;
  }
  const std::size_t header = out.size();
  out.insert(out.end(), begin, framed.frame.end);
  out.resize(std::max<std::size_t>(out.size(), header + framed.frame.length));
  return out;
}

// The parser alone, without what an orienter adds.
int parse(const fffa_frame& frame, bool ethernet, int direction, fffa_packet& out) {
  return ethernet ? fffa_parse_frame(&frame, &out, direction) : fffa_parse_raw_ip(&frame, &out, direction);
}

fffa_frame frame_in(const Bytes& bytes, const fffa_frame& like) {
  fffa_frame frame = like;
  frame.data = bytes.data();
  frame.end = bytes.data() + bytes.size();
  frame.length = static_cast<__u32>(bytes.size());
  return frame;
}

bool same_tcp(const fffa_packet& a, const fffa_packet& b) {
  return a.seq == b.seq && a.ack == b.ack && a.payload == b.payload && a.window == b.window && a.sack == b.sack &&
         a.scale == b.scale && a.flags == b.flags;
}

// All that counting and tracking look at.
bool same(const fffa_packet& a, const fffa_packet& b) {
  return std::memcmp(&a.key, &b.key, sizeof a.key) == 0 && a.bytes == b.bytes && a.packets == b.packets &&
         a.ecn == b.ecn && a.vlan == b.vlan && a.note == b.note && a.tcp == b.tcp && a.at_sender == b.at_sender &&
         (a.tcp == 0 || same_tcp(a, b)) && a.outer_bytes == b.outer_bytes &&
         (a.key.encap == 0 || std::memcmp(&a.outer, &b.outer, sizeof a.outer) == 0);
}

int direction_of(const Oriented& o) {
  if (o.reason == FFFA_OK) return o.parsed.direction;
  return o.framed.way == pcap::Way::out ? FFFA_EGRESS : FFFA_INGRESS;
}

// Whether `whole`, which the kernel gets, is the same to the engine as what the capture has.
bool means_the_same(const Framed& framed, const Bytes& whole, int direction) {
  fffa_packet theirs, ours;
  const int reason = parse(framed.frame, framed.ethernet, direction, theirs);
  return parse(frame_in(whole, framed.frame), true, direction, ours) == reason &&
         (reason != FFFA_OK || same(theirs, ours));
}

// Decides for one packet: whether it is kept, and how the kernel gets it.
class Adapter {
 public:
  explicit Adapter(const Limits& limits) : limits_(limits) {}

  bool adapt(Kept& kept, std::uint16_t link_type, Bytes& frame, Changes& changes) {
    const Oriented o = orient(scratch_, kept, link_type);
    const auto longest = direction_of(o) == FFFA_INGRESS ? limits_.ingress : limits_.egress;
    if (!o.framed.readable || (o.framed.ethernet && o.framed.frame.length < kEthernetHeader))
      return leave_out(changes.no_frame);
    if (o.framed.frame.length + kEthernetHeader > longest) return leave_out(changes.too_long);
    frame = whole_frame(o.framed);
    if (!means_the_same(o.framed, frame, direction_of(o))) return leave_out(changes.cut);
    if (kept.packet.captured < kept.packet.length) ++changes.padded;
    if (kept.packet.time < newest_) {
      kept.packet.time = newest_;
      ++changes.moved;
    }
    newest_ = kept.packet.time;
    return true;
  }

 private:
  static bool leave_out(unsigned& count) {
    ++count;
    return false;
  }
  Limits limits_;
  Orienter scratch_{FFFA_OPEN_GENEVE};
  TimeNs newest_ = 0;
};

Bytes rewritten(const std::vector<Kept>& packets, const std::vector<pcap::CaptureInterface>& interfaces) {
  pcap::BlockFile file;
  for (const auto& interface : interfaces) file.interface(interface.link_type, interface.name, file.option(9, {9}));
  for (const auto& [packet, bytes] : packets) {
    const Bytes flags = packet.way == pcap::Way::unknown ? Bytes() : file.flags(packet.way == pcap::Way::in ? 1 : 2);
    file.packet(packet.interface, static_cast<std::uint64_t>(packet.time), bytes, flags, packet.length);
  }
  return file.bytes;
}

}  // namespace

Capture load(const std::filesystem::path& file, const Limits& limits) {
  auto input = pcap::FileInput::open(file.string());
  if (!input.ok()) throw std::runtime_error(input.error().message);
  const auto plain = pcap::decompressed(std::move(*input));
  pcap::Reader reader(*plain, file.string());
  if (auto opened = reader.open(); !opened.ok()) throw std::runtime_error(opened.error().message);

  Capture capture;
  Adapter adapter(limits);
  Orienter orienter(FFFA_OPEN_GENEVE);
  std::vector<Kept> all;
  Packet packet;
  while (reader.next(packet) == pcap::Reader::Next::packet) {
    Kept kept{packet, Bytes(packet.data, packet.data + packet.captured)};
    const auto link_type = reader.interfaces()[packet.interface].link_type;
    Handed handed;
    if (!adapter.adapt(kept, link_type, handed.frame, capture.changes)) continue;
    const Oriented o = orient(orienter, kept, link_type);
    handed.time = kept.packet.time;
    handed.direction = direction_of(o);
    handed.at_sender = o.framed.frame.at_sender != 0;
    if (o.reason == FFFA_OK) handed.path = o.parsed.key.ifindex;
    capture.packets.push_back(std::move(handed));
    all.push_back(std::move(kept));
  }
  if (!reader.error().empty()) throw std::runtime_error(reader.error());
  capture.interfaces = reader.interfaces();
  capture.paths = orienter.paths();
  if (capture.changes.moved + capture.changes.left_out() != 0) capture.file = rewritten(all, capture.interfaces);
  return capture;
}

}  // namespace fffa::parity
