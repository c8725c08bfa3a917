// SPDX-License-Identifier: MIT
// Writes the parser's test cases and a conversation as seeds for fuzz_packet, and lists of options for fuzz_geneve.
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

// fuzz_geneve.cpp says how it reads them.
void write_geneve(const std::string& folder) {
  const Bytes gwlb = gwlb_options(0x2b8ee1d4db0c51c4, 0x0123456789abcdef, 0xc0ffee);
  const Bytes unknown = {0x01, 0x02, 0x80, 0x01, 1, 2, 3, 4}, empty = {0x01, 0x08, 0x03, 0x00},
              cookie = {0x01, 0x08, 3, 1, 9, 9, 9, 9};
  const auto seed = [&](const char* name, std::uint8_t options, std::vector<Bytes> outer,
                        std::vector<Bytes> inner = {}) {
    Bytes out(6);
    out[0] = options;
    std::uint8_t* count = &out[1];
    std::size_t sizes[2] = {0, 0};
    Bytes body;
    for (const auto& part : outer) body.insert(body.end(), part.begin(), part.end());
    sizes[0] = body.size();
    for (const auto& part : inner) body.insert(body.end(), part.begin(), part.end());
    sizes[1] = body.size() - sizes[0];
    for (int i = 0; i < 2; ++i) count[i] = static_cast<std::uint8_t>(sizes[i] / 4);
    out[5] = 30;
    out.insert(out.end(), body.begin(), body.end());
    write(folder + name, out);
  };
  seed("none", 0, {});
  seed("gwlb", 0, {gwlb});
  seed("gwlb_over_ipv6", 1 | 2 | 8, {gwlb});
  seed("gwlb_ethernet", 4, {gwlb});
  seed("unknown_first", 0, {unknown, gwlb, empty});
  seed("cookie_twice", 0, {cookie, gwlb, cookie});
  seed("overruns", 0, {gwlb, {0x01, 0x08, 0x01, 0x1f}});
  seed("many", 0, std::vector<Bytes>(63, empty));
  seed("cut", 64, {gwlb});
  seed("claimed", 32, {gwlb});
  seed("nested", 128, {gwlb}, {cookie});
  seed("nested_broken", 128, {unknown}, {gwlb, {0, 0, 0, 1}});
  seed("wild_inside", 16, {unknown, {0x45, 0, 0, 20}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER GENEVE_FOLDER\n", argv[0]);
    return 2;
  }
  const std::string folder = std::string(argv[1]) + "/";
  for (const auto& c : parse_cases()) write(folder + c.name, framed(c.packet, 0));
  write(folder + "conversation", conversation());
  write_geneve(std::string(argv[2]) + "/");
}
