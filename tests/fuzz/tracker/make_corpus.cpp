// SPDX-License-Identifier: MIT
// Writes some conversations as seeds for fuzz_tracker.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "steps.h"

using namespace fffa::fuzz;

namespace {

enum : std::uint8_t { at_once, soon = 1 << 5, in_5_ms = 3 << 5, in_250_ms = 4 << 5, in_2_s = 5 << 5, back = 16 };
enum : std::uint8_t { fin = 1, syn = 2, rst = 4, ack = 16, ece = 64 };
enum : std::uint8_t { next = 0, again = 3, hole = 5, late = 8, another = 15, ack_next = 0, ack_before = 3 << 4 };
enum : std::uint8_t { empty = 0, hundred = 5, one = 3, zero_window = 3 << 4 };
enum : std::uint8_t { all = 1, ended = 4, idle = 2 };

class Seed {
 public:
  explicit Seed(std::uint8_t entries) : bytes_{static_cast<char>(entries - 1)} {}
  Seed& packet(std::uint8_t what, std::uint8_t flags, std::uint8_t numbers = next, std::uint8_t sizes = empty,
               std::uint8_t rest = 0, int times = 1) {
    for (; times > 0; --times)
      for (const std::uint8_t byte : {what, flags, numbers, sizes, rest}) bytes_.push_back(static_cast<char>(byte));
    return *this;
  }
  Seed& readout(std::uint8_t flags) { return packet(3, flags); }
  Seed& handshake(std::uint8_t connection = 0) {
    const auto c = static_cast<std::uint8_t>(connection << 2);
    packet(c, syn, next, empty, 16);
    packet(c | back | in_5_ms, syn | ack, next, empty, 16);
    return packet(c | in_5_ms, ack);
  }
  Seed& close() {
    packet(in_5_ms, fin | ack);
    packet(in_5_ms | back, fin | ack);
    return packet(in_5_ms, ack);
  }
  void write(const std::string& path) const {
    std::ofstream(path, std::ios::binary).write(bytes_.data(), static_cast<std::streamsize>(bytes_.size()));
  }

 private:
  std::vector<char> bytes_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::string folder = std::string(argv[1]) + "/";
  Seed(4)
      .handshake()
      .packet(at_once, ack, next, hundred)
      .readout(all)
      .packet(in_5_ms | back, ack)
      .close()
      .readout(ended)
      .write(folder + "conversation");
  Seed(4)
      .handshake()
      .packet(at_once, ack, next, hundred, 0, 5)
      .packet(in_5_ms | back, ack, ack_before, empty, 1, 4)
      .readout(all)
      .packet(in_5_ms, ack, again, hundred)
      .packet(in_250_ms, ack, again, hundred)
      .readout(all)
      .write(folder + "retransmissions");
  Seed(4)
      .handshake()
      .packet(soon, ack, hole, hundred)
      .packet(soon, ack, late, hundred)
      .packet(soon, ack, hole, hundred, 0, 5)
      .readout(all)
      .packet(soon, ack, late, hundred, 0, 3)
      .write(folder + "holes");
  Seed(4)
      .handshake()
      .close()
      .packet(in_2_s, syn, another)
      .packet(in_5_ms | back, syn | ack, another)
      .packet(in_5_ms, ack)
      .readout(0)
      .packet(in_5_ms, rst)
      .readout(0)
      .write(folder + "reuse");
  Seed(4)
      .handshake()
      .packet(in_5_ms | back, ack, next, zero_window)
      .packet(in_250_ms, ack, 7, one, 0, 3)
      .packet(in_250_ms | back, ack)
      .readout(all)
      .write(folder + "probes");
  Seed(1)
      .handshake(0)
      .handshake(1)
      .readout(0)
      .packet(in_2_s, ack)
      .readout(0)
      .readout(idle)
      .handshake(1)
      .write(folder + "full_table");
  Seed(4)
      .handshake(3)
      .packet(12, ack, next, hundred, 12, 4)
      .readout(all)
      .packet(12 | back, ack | ece)
      .readout(0)
      .write(folder + "tunnel");
  Seed(4)
      .packet(at_once, syn)
      .packet(at_once | back, syn)
      .packet(in_5_ms, syn | ack, 10)
      .packet(back, syn | ack, 10)
      .packet(in_5_ms, ack)
      .write(folder + "simultaneous_open");
}
