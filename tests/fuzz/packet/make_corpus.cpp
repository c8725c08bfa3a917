// SPDX-License-Identifier: MIT
// Writes the parser's test cases, and a few conversations, as seeds for fuzz_packet.
#include <cstdio>
#include <fstream>

#include "parse_cases.h"

using namespace fffa::bpf_test;

namespace {

Bytes framed(const Bytes& packet, std::uint8_t options) {
  Bytes out = {options, static_cast<std::uint8_t>(packet.size()), static_cast<std::uint8_t>(packet.size() >> 8)};
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

void write(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Bytes conversation() {
  Bytes all;
  const auto add = [&](bool back, const TcpFields& fields, std::size_t payload) {
    auto b = back ? PacketBuilder().eth().ipv4("10.0.0.2", "10.0.0.1").tcp(443, 40000, fields)
                  : PacketBuilder().eth().ipv4("10.0.0.1", "10.0.0.2").tcp(40000, 443, fields);
    const auto one = framed(b.payload(payload).build(), back ? 1 : 0);
    all.insert(all.end(), one.begin(), one.end());
  };
  add(false, {.seq = 1000, .flags = 2, .options = {3, 3, 7}}, 0);
  add(true, {.seq = 5000, .ack = 1001, .flags = 0x12, .options = {3, 3, 5}}, 0);
  add(false, {.seq = 1001, .ack = 5001}, 0);
  for (const std::uint32_t seq : {1001u, 1201u, 1401u, 1101u, 1301u, 1001u}) add(false, {.seq = seq, .ack = 5001}, 100);
  for (int i = 0; i < 4; ++i)
    add(true, {.seq = 5001, .ack = 1101, .options = {1, 1, 5, 10, 0, 0, 4, 177, 0, 0, 5, 21}}, 0);
  add(false, {.seq = 1501, .ack = 5001, .flags = 0x11}, 0);
  add(true, {.seq = 5001, .ack = 1502, .flags = 0x11}, 0);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::string folder = std::string(argv[1]) + "/";
  for (const auto& c : parse_cases()) write(folder + c.name, framed(c.packet, 0));
  write(folder + "conversation", conversation());
}
