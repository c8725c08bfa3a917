// SPDX-License-Identifier: MIT
// A capture, whole or compressed, through all that the source `pcap` does with its bytes. Every packet must be
// accounted for: in a record, or filtered.
#include <cstdlib>
#include <memory>

#include "orient.h"
#include "reader.h"
#include "table.h"

namespace {

void require(bool truth) {
  if (!truth) std::abort();
}

class Totals final : public fffa::pcap::RecordTaker {
 public:
  void take(const fffa_drain_record& record) override {
    for (int side = 0; side < 2; ++side) {
      const auto& slot = record.slot[side];
      packets += slot.packets;
      bytes += slot.bytes;
      require(slot.packets == 0 || slot.first_ns <= record.last_ns[side]);
      require(slot.rtt_sum_ns < std::uint64_t{1} << 62 && slot.jitter_sum_ns < std::uint64_t{1} << 62);
    }
  }
  std::uint64_t packets = 0, bytes = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fffa::pcap;
  constexpr std::uint64_t limit = 100'000;  // of packets: a few bytes of gzip can hold millions
  const auto input = decompressed(std::make_unique<MemoryInput>(std::span(data, size)));
  static const auto memory = std::make_unique_for_overwrite<std::uint8_t[]>(Window::kSize);  // new for each is slow
  Reader reader(*input, "fuzz", memory.get());
  Orienter orient(FFFA_OPEN_GENEVE);
  Table table({64, true, 300'000'000'000});
  require(table.start().ok());
  Totals totals;
  Packet packet;
  std::uint64_t tracked = 0, bytes = 0, read = 0;
  auto next = Reader::Next::packet;
  while (read < limit && (next = reader.next(packet)) == Reader::Next::packet) {
    ++read;
    require(packet.interface < reader.interfaces().size() && packet.length >= packet.captured);
    require(packet.captured <= Window::kSize && packet.time >= kEarliest && packet.time <= kLatest);
    Framed framed;
    fffa_packet parsed;
    const int reason = orient(packet, reader.interfaces()[packet.interface].link_type, parsed, framed);
    require(reason >= FFFA_OK && reason <= FFFA_VLAN_TOO_DEEP);
    if (reason != FFFA_OK) continue;
    ++tracked;
    bytes += parsed.bytes;
    require(orient.paths()[parsed.key.ifindex].interface == packet.interface);
    table.count({&parsed, 1}, totals);
    if (tracked % 16 == 0) table.read_out(parsed.time_ns, totals);
  }
  table.read_out(0, totals);
  require(totals.packets == tracked && totals.bytes == bytes);
  require(next != Reader::Next::error || !reader.error().empty());
  return 0;
}
