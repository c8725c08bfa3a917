// SPDX-License-Identifier: MIT
// Network namespaces joined by a veth pair, for tests with real packets. Needs root; without it everything here throws.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fffa::integration {

// Runs a command (no shell), its output going to the test's; throws if it fails.
void run(const std::vector<std::string>& command);
// Likewise, but a failure is the answer.
bool try_run(const std::vector<std::string>& command);
// What a command printed; throws if it fails.
std::string output_of(const std::vector<std::string>& command);

// A named namespace, removed with the object. Names are unique to the process.
class Netns {
 public:
  explicit Netns(const std::string& name);
  ~Netns();
  Netns(const Netns&) = delete;
  Netns& operator=(const Netns&) = delete;
  const std::string& name() const noexcept { return name_; }

  // `ip -n NAME ...`, words separated by spaces.
  void ip(const std::string& words) const;
  // Moves the calling thread in; it returns when the Inside is gone.
  class Inside {
   public:
    explicit Inside(const Netns& netns);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    int back_;
  };

 private:
  std::string name_;
};

struct Counters {
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0, tx_dropped = 0;
  friend bool operator==(const Counters&, const Counters&) = default;
};

// Two namespaces, `here` with the monitored interface and `there` with its peer, addressed
//   here  10.77.0.1/24 and fd77::1/64 on `veth0`
//   there 10.77.0.2/24 and fd77::2/64 on `peer0`
// with fixed neighbours (no ARP, no neighbour discovery), no multicast chatter and, unless asked for, no offloads.
class VethPair {
 public:
  explicit VethPair(bool offloads = false);
  Netns here;
  Netns there;

  // Of the peer, as it says itself; bytes with Ethernet headers.
  Counters peer() const;
  // The same, once nothing has changed for a while.
  Counters peer_at_rest() const;
  // Makes and addresses the pair; again after veth0 was deleted.
  void make();

 private:
  bool offloads_;
};

inline constexpr const char* kHere4 = "10.77.0.1";
inline constexpr const char* kThere4 = "10.77.0.2";
inline constexpr const char* kHere6 = "fd77::1";
inline constexpr const char* kThere6 = "fd77::2";

// Switches TSO, GSO, GRO and checksum offload of an interface of the calling thread's namespace.
void set_offloads(const std::string& interface, bool on);
// Counters of an interface of the calling thread's namespace.
Counters counters(const std::string& interface);

}  // namespace fffa::integration
