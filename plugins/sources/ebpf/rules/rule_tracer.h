// SPDX-License-Identifier: MIT
// Which rule of the firewall decided a packet: nftables' own trace, switched on for chosen packets by a table of ours.
//
// The table (`inet fffa`, or fffa_2 and so on where that name is taken) belongs to this process: the kernel removes it
// with the process, however that ends. Nothing in it refers to `ct`, so connection tracking stays as it was. Rules of
// iptables-nft are seen as well and shown as iptables shows them; those of iptables-legacy leave no trace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fffa/context.h"
#include "fffa/record.h"
#include "fffa/result.h"

namespace fffa::ebpf {

// What decided a packet. Texts are valid UTF-8 without control characters, of bounded length.
struct Rule {
  Verdict verdict = Verdict::none;  // accept, drop, reject, queue, stolen, repeat or stop
  NetfilterHook hook = NetfilterHook::none;
  std::int32_t priority = 0;  // of the base chain in which it was decided
  std::string table;
  std::string chain;                      // the rule's own: a user chain where one was jumped to
  std::optional<std::uint32_t> rule_num;  // 1-based position in the chain; none: the chain's policy
  // ACCEPT, DROP, REJECT, QUEUE; iptables' own name of the target (NFQUEUE, ...); `policy` for a chain's policy.
  std::string target;
  // nft: the rule as `nft list ruleset` prints it, without counters, logging and what it decides, but with its comment:
  //   tcp dport 443 comment "web"
  // iptables: what `iptables -L -n` prints behind the destination, before it what is not the default of
  // in, out, src, dst and the protocol (where the rest does not name it):
  //   in:eth0 src:10.0.0.0/8 tcp dpt:443 /* web */
  // Empty: matches everything, or a policy.
  std::string match_info;
};

// A packet's tuple as the first hook saw it, before any translation: PRE_ROUTING with the interface it came by, or
// LOCAL_OUT with 0. Ports as everywhere (record.h): those of ICMP are 0 and type << 8 | code.
struct TracedFlow {
  Tuple tuple;
  std::uint32_t in_ifindex = 0;
  friend bool operator==(const TracedFlow&, const TracedFlow&) = default;
};

struct RuleTracerOptions {
  enum class Mode : std::uint8_t {
    // The first packet of each direction of a connection: TCP packets with SYN, for others a tuple that was not seen
    // for a minute. Three quarters of the rate at most, so that want() is heard in a flood.
    first_packet,
    // One packet in a hundred, whichever it is: connections that are older than fffa become known as well, busy ones
    // first, and the kernel remembers no tuples; most short ones stay unknown.
    sampled,
  };
  Mode mode = Mode::first_packet;
  std::uint32_t rate = 200;       // traced packets per second, with a burst of one second's worth
  std::size_t max_flows = 65536;  // remembered, some 300 bytes each; the one that was asked for longest ago goes first
};

struct RuleTracerStats {
  std::uint64_t events = 0;      // trace messages read
  std::uint64_t packets = 0;     // traced packets for which a rule or policy was found
  std::uint64_t unresolved = 0;  // whose rule had gone, or whose messages were lost in part
  std::uint64_t overruns = 0;    // times that the kernel dropped messages
  std::uint64_t listings = 0;    // times that the ruleset was listed
};

// Of the network namespace in which it was started. One thread; it has another one of its own for what takes long.
class RuleTracer {
 public:
  // An error is Disposition::unavailable: no CAP_NET_ADMIN, no nf_tables, a kernel below 5.12. `log` outlives it.
  static Result<std::unique_ptr<RuleTracer>> start(const RuleTracerOptions& options, Logger& log);
  ~RuleTracer();
  RuleTracer(const RuleTracer&) = delete;
  RuleTracer& operator=(const RuleTracer&) = delete;

  // Readable when read() has something to do: an epoll descriptor.
  int fd() const noexcept;
  // Takes in what is there. Never blocks.
  void read();

  // What decided the packet of this flow that was traced last, under the rule's present number and text; null: none was
  // traced, or the rule is gone. The verdict may be older than that of the flow's last packet: where they differ, ask
  // want(). A packet's rule is known some 10 ms after the packet; a rule that was just made, once the ruleset has been
  // listed anew. Valid until the next call.
  const Rule* find(const TracedFlow& flow);
  // Traces the next packet of a flow whose rule is not known, or not any more, within the rate. All that
  // come within a tenth of a second are one command to the kernel; at most once per second and flow.
  void want(const TracedFlow& flow);
  // Likewise, unless it was asked for already, and after those that were.
  void want_once(const TracedFlow& flow);
  void forget(const TracedFlow& flow);

  // Packets were traced of which it is not known yet which rule decided them: it will be soon.
  bool waiting() const;
  // Some rule hands packets over to user space (NFQUEUE).
  bool queues() const;

  const RuleTracerStats& stats() const noexcept;
  const std::string& table() const noexcept;  // ours: "fffa"

 private:
  class Impl;
  explicit RuleTracer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// True where iptables-legacy (or ip6tables-legacy) has tables: their rules cannot be traced, so that the rule fields of
// what they decide stay null. For `fffa doctor`. The calling thread's network namespace.
bool has_legacy_iptables();

}  // namespace fffa::ebpf
