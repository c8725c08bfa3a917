// SPDX-License-Identifier: MIT
// Writes the seeds of fuzz_capture: make_corpus FOLDER.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "../../../plugins/sources/pcap/capture_builder_test.h"
#include "packet_builder.h"

namespace {

using fffa::bpf_test::PacketBuilder;
using fffa::pcap::BlockFile;
using fffa::pcap::Bytes;
using fffa::pcap::ByteWriter;
using fffa::pcap::ClassicFile;

Bytes frame(bool reply, std::uint8_t flags, std::size_t payload) {
  PacketBuilder builder;
  builder.eth().ipv4(reply ? "10.0.0.1" : "10.0.0.9", reply ? "10.0.0.9" : "10.0.0.1");
  return builder.tcp(reply ? 80 : 5000, reply ? 5000 : 80, {.seq = 100, .ack = 101, .flags = flags})
      .payload(payload)
      .build();
}

Bytes tunnelled() {
  PacketBuilder builder;
  builder.eth().vlan(5).ipv4("192.0.2.1", "192.0.2.2").udp(4444, 6081).geneve(7, fffa::bpf_test::gwlb_options(1, 2, 3));
  return builder.ipv6("2001:db8::1", "2001:db8::2").udp(1, 2).payload(4).build();
}

Bytes without_ethernet(const Bytes& frame) {
  return {frame.begin() + 14, frame.end()};
}
Bytes behind(Bytes header, const Bytes& rest) {
  fffa::pcap::append(header, rest);
  return header;
}

Bytes blocks(bool swapped) {
  BlockFile file(swapped);
  file.interface(1, "eth0").interface(101, "tun0", file.option(9, {9})).interface(276);
  file.packet(0, 1'000'000, frame(false, 2, 0), file.flags(1))
      .packet(0, 1'000'500, frame(true, 0x12, 0), file.flags(2));
  file.packet(1, 1'000'000'007, without_ethernet(frame(false, 0x18, 9)));
  file.block(3, ByteWriter(swapped).u32(54).raw(frame(false, 0x10, 0)).pad().bytes());
  file.section(!swapped).interface(1, "eth0", file.option(14, ByteWriter(!swapped).u64(3600).bytes()));
  file.packet(0, 2'000'000, tunnelled());
  return file.bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  const auto write = [&](const char* name, const Bytes& bytes) {
    std::ofstream(folder / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  };
  ClassicFile classic;
  classic.packet(1, 0, frame(false, 2, 0))
      .packet(1, 9, frame(true, 0x12, 0))
      .packet(0, 5, frame(false, 0x18, 20), 2000);
  classic.packet(9, 0, tunnelled());
  write("classic", classic.bytes);
  write("classic_swapped_nanoseconds", ClassicFile(1, true, true).packet(1, 1, frame(true, 4, 0)).bytes);
  write("null", ClassicFile(0).packet(1, 0, behind({2, 0, 0, 0}, without_ethernet(frame(false, 2, 0)))).bytes);
  const Bytes cooked{0, 4, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0};
  write("cooked", ClassicFile(113).packet(1, 0, behind(cooked, without_ethernet(frame(false, 2, 0)))).bytes);
  const Bytes cooked2{8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0};
  write("cooked2", ClassicFile(276).packet(1, 0, behind(cooked2, without_ethernet(frame(false, 2, 0)))).bytes);
  write("blocks", blocks(false));
  write("blocks_swapped", blocks(true));
  write("gzip", fffa::pcap::gzip(classic.bytes));
  Bytes members = fffa::pcap::gzip(blocks(false));
  fffa::pcap::append(members, fffa::pcap::gzip(BlockFile().bytes));
  write("gzip_members", members);
  return 0;
}
