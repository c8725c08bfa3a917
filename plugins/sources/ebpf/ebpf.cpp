// SPDX-License-Identifier: MIT
#include "ebpf.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "privileges.h"

namespace fffa::ebpf {
namespace {

using std::chrono::nanoseconds;

constexpr std::int64_t kCheckNs = 5'000'000'000;  // a removed program is noticed after at most this long
constexpr std::int64_t kFillingNs = 20'000'000;  // between looks for connections that ended, while the table is filling
constexpr nanoseconds kCongested = std::chrono::milliseconds(20);  // between looks whether there is room downstream
constexpr std::int64_t kWorthSaying = 1'000'000'000;               // a smaller step of the clock is everyday's business

// Far off, and cancelled as soon as the wall clock is set.
bool arm(int alarm) {
  itimerspec never{};
  never.it_value.tv_sec = INT32_MAX;
  return ::timerfd_settime(alarm, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) == 0;
}

}  // namespace

std::vector<Resource> Ebpf::resources(const Config& config) {
  std::vector<Resource> owned;
  for (const auto& name : config.interfaces) {
    for (const auto hook : config.hooks) {
      if (hook == Direct::netfilter) continue;
      owned.push_back({"interface hook", name + (hook == Direct::ingress ? " ingress" : " egress")});
    }
  }
  return owned;
}

void Ebpf::check(const Config& config, Checker& checker) {
  if (config.interfaces.empty()) checker.error("interfaces", "must not be empty: nothing could be captured");
  const auto has = [&](Direct hook) {
    return std::find(config.hooks.begin(), config.hooks.end(), hook) != config.hooks.end();
  };
  const bool ingress = has(Direct::ingress) && config.ingress != IngressHook::off;
  const bool egress = has(Direct::egress) && config.egress != EgressHook::off;
  if (!ingress && !egress) checker.error("hooks", "neither ingress nor egress is captured");
}

bool Ebpf::wants_netfilter() const {
  return std::find(config_.hooks.begin(), config_.hooks.end(), Direct::netfilter) != config_.hooks.end();
}

// Flows are captured without it, too.
void Ebpf::start_netfilter() {
  netfilter_ = std::make_unique<Netfilter>(config_.netfilter, context_, *table_);
  auto done = netfilter_->start();
  if (done) {
    ports_.on_attach([this](std::uint32_t ifindex, Direction direction) { netfilter_->add(ifindex, direction); });
    return;
  }
  netfilter_.reset();
  context_.log().warning(done.error().message +
                         ": flows are captured without netfilter's verdicts (`fffa doctor` "
                         "tells more; leave `netfilter` out of `hooks` to be spared this line)");
}

Result<void> Ebpf::start() {
  const bool geneve =
      std::find(config_.tunnels.begin(), config_.tunnels.end(), Tunnel::geneve) != config_.tunnels.end();
  auto table = KernelTable::load({config_.table_size, config_.ring_size.bytes, geneve, wants_netfilter()});
  if (!table) return table.error();
  table_ = std::move(*table);
  readout_ = std::make_unique<Readout>(config_, context_, *table_, ports_);
  // first, because it takes its time: what an interface carries has its verdicts from the beginning
  if (wants_netfilter()) start_netfilter();
  if (auto done = ports_.start([this](Program which) { return table_->program(which); }); !done) return done;
  readout_->tell(netfilter_.get());
  return watch();
}

Result<void> Ebpf::watch() {
  clock_alarm_ = Descriptor(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  events_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!clock_alarm_ || !events_) return system_error("wait for events");
  arm(clock_alarm_.get());
  for (const int fd : {clock_alarm_.get(), ports_.fd(), table_->ring_fd(), netfilter_ ? netfilter_->fd() : -1}) {
    if (fd < 0) continue;
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return system_error("wait for events");
  }
  const ClockPair now = read_clocks();
  next_edge_ = next_edge(now.wall, config_.drain_interval.count());
  next_check_ = now.monotonic + kCheckNs;
  return {};
}

void Ebpf::heed_clock() {
  std::uint64_t expirations = 0;
  if (::read(clock_alarm_.get(), &expirations, sizeof expirations) < 0 && errno == ECANCELED) arm(clock_alarm_.get());
  step_ = readout_->clock().step(read_clocks());
}

// What happened meanwhile; never waits.
void Ebpf::look_after() {
  ports_.follow();
  if (netfilter_) {
    netfilter_->watch(ports_.attached());
    netfilter_->read();
  }
  readout_->read_ring();
  heed_clock();
  const std::int64_t now = read_clocks().monotonic;
  if (now < next_check_) return;
  next_check_ = now + kCheckNs;
  ports_.check();
}

bool Ebpf::due() const {
  return step_ != 0 || ports_.leaving() || readout_->ring_waits() || read_clocks().wall >= next_edge_;
}

std::chrono::nanoseconds Ebpf::patience() const {
  if (readout_->active()) return kCongested;
  const ClockPair now = read_clocks();
  const std::int64_t longest = table_->tells_ends() ? kFillingNs : kCheckNs;
  return nanoseconds(
      std::clamp<std::int64_t>(std::min(next_edge_ - now.wall, next_check_ - now.monotonic), 1000, longest));
}

Result<void> Ebpf::run(Output& output) {
  while (!output.stopping()) {
    look_after();
    if (!readout_->active()) {
      auto going = readout_->drain_ended(output);
      if (!going) return going.error();
      if (!*going) break;
    }
    if (!readout_->active() && due()) {
      cuts_step_ = step_ != 0;
      readout_->begin();
    }
    if (!readout_->active() || !output.ready()) {
      // what cannot be taken in would wake us again and again
      const bool deaf = readout_->active() && readout_->ring_waits();
      output.wait(patience(), deaf ? -1 : events_.get());
      continue;
    }
    auto going = readout_->step(output);
    if (!going) return going.error();
    if (!*going) break;
    if (readout_->active()) continue;
    pass_ended();
  }
  return final_pass(output);
}

void Ebpf::pass_ended() {
  const ClockPair now = read_clocks();
  if (cuts_step_) {
    if (step_ > kWorthSaying || step_ < -kWorthSaying) {
      context_.log().warning("the wall clock was set by " + std::to_string(step_ / kWorthSaying) +
                             " s: followed from here on");
    }
    readout_->adopt_clock(now);
  }
  next_edge_ = next_edge(now.wall, config_.drain_interval.count());
}

// Also of a run that is abandoned, before or meanwhile: what was seen is accounted for.
Result<void> Ebpf::final_pass(Output& output) {
  if (netfilter_) netfilter_->detach();  // first: what is judged was counted
  ports_.detach();
  wait_for_running_programs();  // what they count is then in the table
  readout_->begin();
  while (readout_->active()) {
    if (auto done = readout_->step(output); !done) return done.error();
  }
  return {};
}

std::string describe_hooks(const Link& link, const std::string& foreign_xdp, std::optional<bool> tcx) {
  if (!link.ethernet) return "none (no Ethernet header)";
  const std::string tc = !tcx ? "tcx or clsact" : *tcx ? "tcx" : "clsact";
  std::string hooks = link.loopback ? tc + " ingress" : "xdp-native ingress, else " + tc;
  if (!foreign_xdp.empty()) hooks = tc + " ingress (XDP is used by " + foreign_xdp + ")";
  hooks += ", " + tc + " egress";
  return tcx ? hooks : hooks + " (which of the two cannot be told without privileges)";
}

Probe Ebpf::probe() {
  Probe answer;
  answer.findings = examine();
  const auto unknown = [&](const Error& error) {
    answer.findings.push_back({Finding::Level::missing, "interfaces", error.message, {}});
    return answer;
  };
  auto netlink = RtNetlink::open(false);
  if (!netlink) return unknown(netlink.error());
  const auto links = netlink->links();
  if (!links) return unknown(links.error());
  const auto addresses = netlink->addresses();
  if (!addresses) return unknown(addresses.error());
  const auto tcx = has_tcx();
  for (const auto& link : *links) {
    InterfaceInfo info;
    info.name = link.name;
    info.ifindex = link.ifindex;
    info.state = link.up ? "up" : "down";
    for (const auto& address : *addresses) {
      if (address.ifindex != link.ifindex) continue;
      info.addresses += (info.addresses.empty() ? "" : ",") + to_string(address.address, address.family);
    }
    info.hooks = describe_hooks(link, describe_xdp(link.ifindex), tcx);
    answer.interfaces.push_back(std::move(info));
  }
  return answer;
}

}  // namespace fffa::ebpf
