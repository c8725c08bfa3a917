// SPDX-License-Identifier: MIT
// For tests: a tracer in a namespace, packets to be traced, rules to trace them by.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "netns.h"
#include "rule_tracer.h"

namespace fffa::ebpf {

struct Messages : Logger {
  void log(LogLevel level, std::string_view message) override {
    const std::lock_guard lock(mutex);
    all.push_back((level >= LogLevel::warning ? "! " : "  ") + std::string(message));
  }
  bool enabled(LogLevel) const override { return true; }
  std::mutex mutex;
  std::vector<std::string> all;
};

// `nft -f` with `commands`, in the calling thread's namespace; throws if it fails.
void nft(const std::string& commands);
// Likewise `iptables-nft ...`, `ip6tables-nft ...`, words as they are.
void iptables(std::vector<std::string> words);
void ip6tables(std::vector<std::string> words);

// A tuple from texts; ports of ICMP as in records.
Tuple tuple(const std::string& src, std::uint16_t src_port, const std::string& dst, std::uint16_t dst_port,
            std::uint8_t protocol);
// One packet of that tuple from the calling thread's namespace: a datagram, a SYN, an echo request.
void send(const Tuple& tuple);
std::uint32_t interface_index(const std::string& name);

// Takes in events until the flow is known, or for `seconds`. Null: it is not.
const Rule* wait_for(RuleTracer& tracer, const TracedFlow& flow, double seconds = 2);
// Takes in events for a while.
void run_for(RuleTracer& tracer, double seconds);

using integration::kHere4;
using integration::kHere6;
using integration::kThere4;
using integration::kThere6;
using integration::Netns;

inline constexpr std::uint16_t kEcho4 = 8 << 8;
inline constexpr std::uint16_t kEcho6 = 128 << 8;

// "accept local_in 0 filter INPUT 2 ACCEPT [tcp dpt:443]", "none".
std::string say(const Rule* rule);

// The tracer is in `here`, as is the test itself; packets come from `there` unless they are sent at LOCAL_OUT.
class TracingTest : public testing::Test {
 protected:
  void start(const RuleTracerOptions& options = {});
  TracedFlow in(const Tuple& flow) const { return {flow, interface_index("veth0")}; }
  void send_there(const Tuple& flow) const;
  // One packet, and what decided it.
  std::string decided_in(const Tuple& flow, double seconds = 2);
  std::string decided_out(const Tuple& flow, double seconds = 2);
  // From `there` to a port of `here`, each from another port.
  static Tuple tcp(std::uint16_t port);
  static Tuple udp(std::uint16_t port);
  static Tuple tcp6(std::uint16_t port);
  static Tuple udp6(std::uint16_t port);

  integration::VethPair veth;
  Netns::Inside inside{veth.here};
  Messages messages;
  std::unique_ptr<RuleTracer> tracer;
};

}  // namespace fffa::ebpf
