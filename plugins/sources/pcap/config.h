// SPDX-License-Identifier: MIT
// Options of the source `pcap`.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "fffa/config.h"

namespace fffa::pcap {

enum class Pace : std::uint8_t { fast, realtime };
enum class Tunnel : std::uint8_t { geneve };

struct Config {
  std::filesystem::path path;
  Pace pace = Pace::fast;
  std::vector<Tunnel> tunnels = {Tunnel::geneve};
  std::uint32_t table_size = 1048576;
  std::chrono::nanoseconds table_timeout = std::chrono::seconds(300);
  std::chrono::nanoseconds drain_interval = std::chrono::seconds(5);
};

FFFA_ENUM(Pace, (fast, "fast", "as fast as it can be read"),
          (realtime, "realtime", "with the pauses between the packets as they were"))
FFFA_ENUM(Tunnel, (geneve, "geneve", "UDP port 6081, as AWS Gateway Load Balancer sends it"))

FFFA_CONFIG(Config, (path, "pcap or pcapng file, also compressed by gzip; `-`: standard input"),
            (pace, "how time passes"),
            (tunnels, "encapsulations that are opened; others count as the outer flow", fffa::may_be_empty),
            (table_size,
             "connections that are followed at most, 540 bytes each, 690 where tunnels are opened; memory is taken as "
             "they come, and beyond this the least recently active are reported and forgotten early",
             fffa::range(64, 16777216)),
            (table_timeout, "forget a connection that was reported and stayed silent this long, in the capture's time",
             fffa::range(std::chrono::seconds(1), std::chrono::hours(24))),
            (drain_interval,
             "report at every multiple of this (UTC, in the capture's time); windows downstream should be multiples "
             "of it",
             fffa::range(std::chrono::milliseconds(10), std::chrono::hours(1))))

}  // namespace fffa::pcap
