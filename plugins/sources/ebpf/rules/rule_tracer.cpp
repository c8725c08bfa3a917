// SPDX-License-Identifier: MIT
#include "rule_tracer.h"

#include <linux/netfilter.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <fstream>
#include <vector>

#include "fffa/detail/descriptor.h"
#include "fffa/fields.h"
#include "flow_memory.h"
#include "hook_table.h"
#include "nft_context.h"
#include "nft_socket.h"
#include "nft_worker.h"
#include "own_table.h"
#include "ruleset.h"
#include "trace_join.h"

namespace fffa::ebpf {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kWantPause{100};        // between commands that add wanted flows
constexpr milliseconds kWantAgain{1000};       // per flow
constexpr milliseconds kRefreshPause{50};      // at least, between listings
constexpr int kRefreshShare = 3;               // times what the last one took: a quarter of one CPU at most
constexpr milliseconds kFailurePause{2000};    // after a listing failed
constexpr std::size_t kMaxUnresolved = 4096;   // traced packets that wait for a listing
constexpr std::size_t kMaxGone = 1024;         // tables and chains that go while a listing is made
constexpr std::size_t kMaxWantedFlows = 8192;  // remembered as asked for

Verdict to_verdict(std::uint32_t code, bool rejects) {
  switch (code) {
    case NF_DROP: return rejects ? Verdict::reject : Verdict::drop;
    case NF_ACCEPT: return Verdict::accept;
    case NF_STOLEN: return Verdict::stolen;
    case NF_QUEUE: return Verdict::queue;
    case NF_REPEAT: return Verdict::repeat;
    case NF_STOP: return Verdict::stop;
    default: return Verdict::none;
  }
}

// A statement that passes the packet on to somewhere else is not what decided it: `vmap { ... : jump x }` and the like.
bool decides(std::string_view target) {
  return !target.empty() && target != "JUMP" && target != "GOTO" && target != "RETURN" && target != "CONTINUE";
}

struct Decision {
  Verdict verdict = Verdict::none;
  NetfilterHook hook = NetfilterHook::none;
  std::int32_t priority = 0;
  std::shared_ptr<const KnownRule> rule;
};

Rule to_rule(const Decision& decision) {
  const KnownRule& known = *decision.rule;
  Rule rule{decision.verdict,
            decision.hook,
            decision.priority,
            clean_text(known.table),
            clean_text(known.chain),
            std::nullopt,
            "",
            known.text.match};
  if (known.handle != 0) rule.rule_num = known.number;
  rule.target = decides(known.text.target) ? known.text.target : std::string(verdict_name(decision.verdict));
  return rule;
}

}  // namespace

class RuleTracer::Impl {
 public:
  Impl(const RuleTracerOptions& options, Logger& log, NftEvents events, Lister lister, NftContext owner)
      : options_(options),
        log_(log),
        events_(std::move(events)),
        lister_(std::move(lister)),
        owner_(std::move(owner)),
        flows_(std::max<std::size_t>(options.max_flows, 1)) {}

  Result<void> begin();
  void read();
  const Rule* find(const TracedFlow& flow);
  void want(const TracedFlow& flow, bool again);
  void forget(const TracedFlow& flow) { flows_.erase(flow); }

  bool queues() const { return ruleset_.queues(); }
  bool waiting() const { return join_.waiting() || !unresolved_.empty(); }

  int fd() const noexcept { return epoll_.get(); }
  RuleTracerStats stats_;
  std::string table_;

 private:
  Result<void> make_table();
  bool owns(const TraceEvent& event) const {
    return event.family == NFPROTO_INET && (event.table == table_ || is_hook_table(event.table));
  }
  NftEvents::Handlers handlers();
  void on_table_gone(std::uint8_t family, const std::string& table);
  void gone_meanwhile(std::uint8_t family, const std::string& table, const std::string& chain);
  void on_overrun();
  void take(Result<std::vector<ListedTable>> tables, Clock::duration taken);
  void take_listing();
  void ask_listing(Clock::time_point now);
  void resolve(Clock::time_point now);
  bool resolve(const TracedPacket& packet);
  void send_wants(Clock::time_point now);
  void arm(Clock::time_point now);

  const RuleTracerOptions options_;
  Logger& log_;
  NftEvents events_;
  Lister lister_;
  Ruleset ruleset_;
  NftContext owner_;
  NftWorker worker_{lister_, owner_, log_};
  Descriptor epoll_;
  Descriptor timer_;
  TraceJoin join_{[this](const TraceEvent& event) { return owns(event); },
                  [this](const TracedPacket& packet) {
                    if (unresolved_.size() < kMaxUnresolved) {
                      unresolved_.push_back(packet);
                    } else {
                      ++stats_.unresolved;
                    }
                  }};
  std::deque<TracedPacket> unresolved_;
  FlowMemory<Decision> flows_;
  FlowMemory<Clock::time_point> wanted_{kMaxWantedFlows};
  std::vector<TracedFlow> wants_;
  Rule answer_;
  bool dirty_ = true;      // the ruleset has changed since a listing was asked for
  bool listing_ = false;   // one is being made
  bool outdated_ = false;  // nobody knows what has gone meanwhile
  struct Gone {
    std::uint8_t family = 0;
    std::string table;
    std::string chain;  // empty: all of the table
  };
  std::vector<Gone> gone_;  // while the listing was made
  bool lost_ = false;       // our table
  bool complained_ = false;
  Clock::time_point refresh_due_;
  Clock::time_point wants_due_;
};

Result<void> RuleTracer::Impl::make_table() {
  auto made = owner_.make_own_table("fffa", own_table_body(options_));
  if (!made) return made.error();
  table_ = std::move(*made);
  return {};
}

Result<void> RuleTracer::Impl::begin() {
  epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  timer_ = Descriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll_ || !timer_) return system_error("make an epoll or timer descriptor");
  if (auto begun = worker_.begin(); !begun) return begun.error();
  for (const int fd : {events_.fd(), timer_.get(), worker_.fd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return system_error("watch netfilter's events");
  }
  if (auto made = make_table(); !made) return made.error();
  const auto now = Clock::now();
  dirty_ = false;
  auto tables = lister_.list(log_);
  const auto end = Clock::now();
  take(std::move(tables), end - now);
  arm(end);
  return {};
}

NftEvents::Handlers RuleTracer::Impl::handlers() {
  return {[this](const TraceEvent& event) {
            ++stats_.events;
            join_.add(event, Clock::now());
          },
          [this](std::uint8_t family, const std::string& table) { on_table_gone(family, table); },
          [this](std::uint8_t family, const std::string& table, const std::string& chain) {
            ruleset_.chain_gone(family, table, chain);
            gone_meanwhile(family, table, chain);
          },
          [this](std::uint8_t family, const std::string& table, std::uint64_t handle) {
            ruleset_.rule_gone(family, table, handle);
          },
          [this] { dirty_ = true; },
          [this] { on_overrun(); }};
}

// Handles begin anew in a table of the same name: what was traced in the old one must not be looked up in the new one.
void RuleTracer::Impl::on_table_gone(std::uint8_t family, const std::string& table) {
  if (family == NFPROTO_INET && table == table_) lost_ = true;
  ruleset_.table_gone(family, table);
  gone_meanwhile(family, table, "");
  const auto its = [&](const TracedPacket& packet) {
    return std::any_of(packet.runs.begin(), packet.runs.end(),
                       [&](const TraceRun& run) { return run.family == family && run.table == table; });
  };
  join_.give_up(its);
  stats_.unresolved += std::erase_if(unresolved_, its);
}

// The listing that is being made may still have it, or already have what took its place.
void RuleTracer::Impl::gone_meanwhile(std::uint8_t family, const std::string& table, const std::string& chain) {
  if (!listing_) return;
  if (gone_.size() < kMaxGone) {
    gone_.push_back({family, table, chain});
  } else {
    outdated_ = true;
  }
}

// What was lost may be part of a packet's trace, or that a table was made anew. The next listing tells about tables.
void RuleTracer::Impl::on_overrun() {
  ++stats_.overruns;
  stats_.unresolved += unresolved_.size();
  unresolved_.clear();
  join_.clear();
  dirty_ = true;
  outdated_ = listing_;
}

void RuleTracer::Impl::take(Result<std::vector<ListedTable>> tables, Clock::duration taken) {
  const auto now = Clock::now();
  if (tables) {
    ++stats_.listings;
    ruleset_.take(*tables);
    refresh_due_ = now + std::max<Clock::duration>(kRefreshPause, taken * kRefreshShare);
    return;
  }
  dirty_ = true;
  refresh_due_ = now + kFailurePause;
  if (!complained_) log_.warning("netfilter: " + tables.error().message + ": which rule decided is not known");
  complained_ = true;
}

void RuleTracer::Impl::take_listing() {
  auto listing = worker_.take_listing();
  if (!listing) return;
  listing_ = false;
  if (outdated_) {
    dirty_ = true;
  } else {
    take(std::move(listing->tables), listing->taken);
    for (const auto& [family, table, chain] : gone_) {
      if (chain.empty()) ruleset_.table_gone(family, table);
      if (!chain.empty()) ruleset_.chain_gone(family, table, chain);
    }
  }
  gone_.clear();
  outdated_ = false;
}

void RuleTracer::Impl::ask_listing(Clock::time_point now) {
  if (!dirty_ || listing_ || now < refresh_due_) return;
  dirty_ = false;
  listing_ = true;
  worker_.ask_listing();
}

// False: a listing that is to come may know more. A rule that is known is the right one even if the ruleset has changed
// since: handles are not used again while their table is there.
bool RuleTracer::Impl::resolve(const TracedPacket& packet) {
  const TraceRun* run = deciding_run(packet, ruleset_);
  const auto rule = run != nullptr ? ruleset_.rule(*run) : nullptr;
  if (!rule) {
    if (dirty_ || listing_) return false;
    ++stats_.unresolved;
    flows_.erase(packet.flow);  // what was known is of another packet
    return true;
  }
  const BaseChain& chain = *ruleset_.base_chain(*run);
  ++stats_.packets;
  flows_.put(packet.flow, {to_verdict(run->verdict, run->handle && rule->rejects),
                           static_cast<NetfilterHook>(chain.hook + 1), chain.priority, rule});
  return true;
}

void RuleTracer::Impl::resolve(Clock::time_point now) {
  join_.settle(now);
  ask_listing(now);
  std::erase_if(unresolved_, [this](const TracedPacket& packet) { return resolve(packet); });
}

void RuleTracer::Impl::read() {
  std::uint64_t expirations = 0;
  [[maybe_unused]] const auto got = ::read(timer_.get(), &expirations, sizeof expirations);
  events_.read(handlers());
  const auto now = Clock::now();
  take_listing();
  if (lost_) {
    log_.warning("netfilter: the table " + table_ + " was removed; making it again");
    lost_ = false;
    if (auto made = make_table(); !made) log_.error("netfilter: " + made.error().message);
  }
  resolve(now);
  send_wants(now);
  arm(now);
}

const Rule* RuleTracer::Impl::find(const TracedFlow& flow) {
  if (join_.waiting()) resolve(Clock::now());
  const Decision* decision = flows_.find(flow);
  if (decision == nullptr || decision->rule->gone) return nullptr;
  answer_ = to_rule(*decision);
  return &answer_;
}

void RuleTracer::Impl::want(const TracedFlow& flow, bool again) {
  const auto now = Clock::now();
  const auto* asked = wanted_.find(flow);
  if (asked != nullptr && (!again || now - *asked < kWantAgain)) return;
  const std::size_t most = std::clamp(options_.rate, 16U, 1024U);
  if (wants_.size() >= (again ? most : most / 2)) return;
  wanted_.put(flow, now);
  wants_.push_back(flow);
  send_wants(now);
  arm(now);
}

void RuleTracer::Impl::send_wants(Clock::time_point now) {
  if (wants_.empty() || now < wants_due_) return;
  // no more than can be traced before the next time
  const auto some = static_cast<std::ptrdiff_t>(std::min<std::size_t>(wants_.size(), std::max(options_.rate / 10, 4U)));
  const std::vector<TracedFlow> flows(wants_.begin(), wants_.begin() + some);
  wants_due_ = now + kWantPause;
  if (worker_.run(want_commands(table_, flows))) wants_.erase(wants_.begin(), wants_.begin() + some);
}

// The descriptor becomes readable when something is due.
void RuleTracer::Impl::arm(Clock::time_point now) {
  auto due = Clock::time_point::max();
  if (join_.waiting()) due = now + TraceJoin::quiet;
  if (dirty_ && !listing_) due = std::min(due, refresh_due_);
  if (!wants_.empty()) due = std::min(due, wants_due_);
  itimerspec timer{};
  if (due != Clock::time_point::max()) {
    const auto left = std::chrono::nanoseconds(std::max<Clock::duration>(due - now, milliseconds(1))).count();
    timer.it_value.tv_sec = left / 1'000'000'000;
    timer.it_value.tv_nsec = left % 1'000'000'000;
  }
  ::timerfd_settime(timer_.get(), 0, &timer, nullptr);
}

RuleTracer::RuleTracer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RuleTracer::~RuleTracer() = default;

Result<std::unique_ptr<RuleTracer>> RuleTracer::start(const RuleTracerOptions& options, Logger& log) {
  auto events = NftEvents::open();
  if (!events) return events.error();
  auto lister = Lister::open();
  if (!lister) return lister.error();
  auto owner = NftContext::open();
  if (!owner) return owner.error();
  auto impl = std::make_unique<Impl>(options, log, std::move(*events), std::move(*lister), std::move(*owner));
  if (auto begun = impl->begin(); !begun) return begun.error();
  return std::unique_ptr<RuleTracer>(new RuleTracer(std::move(impl)));
}

int RuleTracer::fd() const noexcept {
  return impl_->fd();
}
void RuleTracer::read() {
  impl_->read();
}
const Rule* RuleTracer::find(const TracedFlow& flow) {
  return impl_->find(flow);
}
void RuleTracer::want(const TracedFlow& flow) {
  impl_->want(flow, true);
}
void RuleTracer::want_once(const TracedFlow& flow) {
  impl_->want(flow, false);
}
void RuleTracer::forget(const TracedFlow& flow) {
  impl_->forget(flow);
}
bool RuleTracer::waiting() const {
  return impl_->waiting();
}
bool RuleTracer::queues() const {
  return impl_->queues();
}
const RuleTracerStats& RuleTracer::stats() const noexcept {
  return impl_->stats_;
}
const std::string& RuleTracer::table() const noexcept {
  return impl_->table_;
}

bool has_legacy_iptables() {
  for (const char* path : {"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"}) {
    std::ifstream file(path);
    if (std::string name; file >> name) return true;
  }
  return false;
}

}  // namespace fffa::ebpf
