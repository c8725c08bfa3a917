// SPDX-License-Identifier: MIT
#include "ports.h"

#include <fnmatch.h>

#include <algorithm>

namespace fffa::ebpf {
namespace {

bool is_glob(const std::string& pattern) {
  return pattern.find_first_of("*?[") != std::string::npos;
}

}  // namespace

bool selects(const std::vector<std::string>& patterns, const Link& link,
             const std::vector<std::uint32_t>& default_links) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    if (pattern == link.name) return true;
    if (pattern == "auto")
      return std::find(default_links.begin(), default_links.end(), link.ifindex) != default_links.end();
    if (link.loopback) return false;
    return pattern == "all" || (is_glob(pattern) && ::fnmatch(pattern.c_str(), link.name.c_str(), 0) == 0);
  });
}

bool Ports::wanted(const Link& link) const {
  return selects(config_.interfaces, link, default_links_);
}

bool Ports::wants(Direct hook) const {
  return std::find(config_.hooks.begin(), config_.hooks.end(), hook) != config_.hooks.end();
}

Result<void> Ports::start(Programs programs) {
  programs_ = std::move(programs);
  const bool routes =
      std::find(config_.interfaces.begin(), config_.interfaces.end(), "auto") != config_.interfaces.end();
  auto netlink = RtNetlink::open(routes);
  if (!netlink) return netlink.error();
  netlink_.emplace(std::move(*netlink));
  if (auto done = list_links(); !done) return done;
  if (auto done = list_routes(); !done) return done;
  list_addresses();
  warn_about_missing();
  warn_about_framing();

  std::optional<Error> failure;
  for (const auto& [ifindex, link] : links_) {
    if (!wanted(link)) continue;
    Port port{link, {}, {}, {}};
    name(link);
    if (auto done = attach(port); !done) {
      port.failure = done.error().message;
      if (!failure) failure = done.error();
    }
    ports_.emplace(ifindex, std::move(port));
  }
  const bool any =
      std::any_of(ports_.begin(), ports_.end(), [](const auto& item) { return item.second.failure.empty(); });
  if (!any && failure) return *failure;
  for (const auto& [ifindex, port] : ports_) {
    if (!port.failure.empty()) context_.log().error(port.failure);
  }
  return {};
}

Result<void> Ports::list_links() {
  auto links = netlink_->links();
  if (!links) return links.error();
  links_.clear();
  for (auto& link : *links) links_[link.ifindex] = std::move(link);
  return {};
}

Result<void> Ports::list_routes() {
  auto links = netlink_->default_route_links();
  if (!links) return links.error();
  default_links_ = std::move(*links);
  return {};
}

void Ports::list_addresses() {
  auto addresses = netlink_->addresses();
  if (addresses)
    addresses_ = std::move(*addresses);
  else
    context_.log().warning(addresses.error().message);
}

void Ports::warn_about_missing() const {
  std::string known;
  for (const auto& [ifindex, link] : links_) known += (known.empty() ? "" : ", ") + link.name;
  for (const auto& pattern : config_.interfaces) {
    const bool found = std::any_of(links_.begin(), links_.end(),
                                   [&](const auto& item) { return selects({pattern}, item.second, default_links_); });
    if (found) continue;
    std::string what = pattern == "auto" ? "there is no default route" : "no interface matches `" + pattern + "`";
    what.append(": waiting for one (interfaces now: ").append(known).append(")");
    context_.log().warning(what);
  }
}

// Once for each interface that is meant and cannot be watched.
void Ports::warn_about_framing() {
  for (const auto& [ifindex, link] : links_) {
    if (link.ethernet || !selects(config_.interfaces, link, default_links_) || !warned_.insert(ifindex).second)
      continue;
    context_.log().warning("interface " + link.name + " is left out: its packets have no Ethernet header");
  }
}

void Ports::name(const Link& link) {
  names_[link.ifindex] = context_.texts().intern(link.name);
}

Result<Attachment> Ports::attach_at_xdp(const Target& target, bool generic) {
  auto program = programs_(Program::xdp_ingress);
  if (!program) return program.error();
  told_(target.ifindex,
        Direction::ingress);  // before, because the card's queues may count packets while it is attached
  return attach_xdp(*program, target, generic);
}

Result<Attachment> Ports::attach_at_tc(const Target& target, Direction direction) {
  auto program = programs_(direction == Direction::ingress ? Program::tc_ingress : Program::tc_egress);
  if (!program) return program.error();
  told_(target.ifindex, direction);
  return attach_tc(*program, target, direction);
}

Result<Attachment> Ports::attach_ingress(const Target& target) {
  switch (config_.ingress) {
    case IngressHook::xdp_native: return attach_at_xdp(target, false);
    case IngressHook::xdp_generic: return attach_at_xdp(target, true);
    case IngressHook::tc:
    case IngressHook::off: return attach_at_tc(target, Direction::ingress);
    case IngressHook::automatic: break;
  }
  auto native = attach_at_xdp(target, false);
  if (native || native.error().system_errno == EPERM) return native;
  context_.log().info(native.error().message + "; capturing at TC instead");
  return attach_at_tc(target, Direction::ingress);
}

// Attaches what is not attached. What fails leaves the other direction as it is: taking native XDP off and on again at
// every retry would restart a card's queues each time.
Result<void> Ports::attach(Port& port) {
  const Target target{port.link.ifindex, port.link.name};
  Result<void> result;
  bool more = false;
  const auto take = [&](std::optional<Attachment>& place, Result<Attachment> attached) {
    if (attached) {
      place.emplace(std::move(*attached));
      more = true;
    } else if (result) {
      result = attached.error();
    }
  };
  if (!port.egress && wants(Direct::egress) && config_.egress != EgressHook::off)
    take(port.egress, attach_at_tc(target, Direction::egress));
  if (!port.ingress && wants(Direct::ingress) && config_.ingress != IngressHook::off)
    take(port.ingress, attach_ingress(target));
  show(port);
  if (more) tell(port);
  return result;
}

void Ports::tell(const Port& port) {
  std::string hooks;
  if (port.ingress) hooks = "ingress " + std::string(hook_name(port.ingress->hook()));
  if (port.egress) hooks += (hooks.empty() ? "egress " : ", egress ") + std::string(hook_name(port.egress->hook()));
  context_.log().info("capturing on " + port.link.name + " (ifindex " + std::to_string(port.link.ifindex) +
                      "): " + hooks);
}

void Ports::attach_and_tell(Port& port) {
  auto done = attach(port);
  if (done) {
    port.failure.clear();
  } else if (done.error().message != port.failure) {
    port.failure = done.error().message;
    context_.log().error(port.failure + "; trying again every few seconds");
  }
}

// `gone`: nothing is captured under this name any more.
void Ports::show(const Port& port, bool gone) {
  constexpr std::string_view help = "1 while the kernel program is attached, 0 while it should be and is not";
  const auto set = [&](Direct hook, std::string_view direction, bool attached) {
    if (!wants(hook)) return;
    context_.metrics()
        .gauge("fffa_ebpf_attached", help, {{"interface", port.link.name}, {"direction", direction}})
        .set(attached && !gone ? 1 : 0);
  };
  set(Direct::ingress, "ingress", port.ingress.has_value() || config_.ingress == IngressHook::off);
  set(Direct::egress, "egress", port.egress.has_value() || config_.egress == EgressHook::off);
}

void Ports::leave(std::uint32_t ifindex, std::string_view why) {
  const auto found = ports_.find(ifindex);
  if (found == ports_.end()) return;
  Port& port = found->second;
  context_.log().info("interface " + port.link.name + " " + std::string(why));
  port.ingress.reset();
  port.egress.reset();
  show(port, true);
  leaving_.insert(ifindex);
  ports_.erase(found);
}

void Ports::follow() {
  const LinkChanges changes = netlink_->changes();
  if (!changes.any()) return;
  for (const auto& [removed, link] : changes.links) {
    if (removed) {
      leave(link.ifindex, "is gone; what it carried is reported");
      links_.erase(link.ifindex);
      warned_.erase(link.ifindex);
    } else {
      links_[link.ifindex] = link;
    }
  }
  if (changes.overrun) {
    context_.log().warning("the kernel dropped news about interfaces: listing them anew");
    if (auto done = list_links(); !done) context_.log().error(done.error().message);
  }
  if (changes.overrun || changes.routes) {
    if (auto done = list_routes(); !done) context_.log().error(done.error().message);
  }
  if (changes.overrun || changes.addresses) list_addresses();
  reconcile();
}

void Ports::update(Port& port, const Link& link) {
  if (port.link.name != link.name) {
    context_.log().info("interface " + port.link.name + " is now called " + link.name);
    show(port, true);
    name(link);
  }
  if (port.link.up != link.up) context_.log().info("interface " + link.name + (link.up ? " is up" : " is down"));
  port.link = link;
}

void Ports::reconcile() {
  warn_about_framing();
  std::vector<std::uint32_t> gone;
  for (auto& [ifindex, port] : ports_) {
    const auto link = links_.find(ifindex);
    if (link == links_.end() || !wanted(link->second))
      gone.push_back(ifindex);
    else
      update(port, link->second);
  }
  for (const auto ifindex : gone) {
    const auto link = links_.find(ifindex);
    const bool renamed = link != links_.end() && link->second.name != ports_.at(ifindex).link.name;
    leave(ifindex, renamed ? "is now called " + link->second.name + " and no longer monitored"
                           : std::string(link == links_.end() ? "is gone; what it carried is reported"
                                                              : "is no longer monitored"));
  }
  for (const auto& [ifindex, link] : links_) {
    // a new interface under an old index waits until the flows of the old one are read out
    if (!wanted(link) || ports_.contains(ifindex) || leaving_.contains(ifindex)) continue;
    name(link);
    attach_and_tell(ports_.emplace(ifindex, Port{link, {}, {}, {}}).first->second);
  }
  for (const auto& [ifindex, port] : ports_) show(port);  // last, for two may have swapped their names
}

void Ports::check() {
  for (auto& [ifindex, port] : ports_) {
    bool lost = false;
    for (auto* attachment : {&port.ingress, &port.egress}) {
      if (!*attachment || (*attachment)->intact()) continue;
      attachment->reset();
      lost = true;
    }
    if (lost) {
      context_.log().warning("somebody removed our program from " + port.link.name + ": attaching anew");
      show(port);
    }
    if (lost || !port.failure.empty()) attach_and_tell(port);
  }
}

void Ports::detach() {
  for (auto& [ifindex, port] : ports_) {
    port.ingress.reset();
    port.egress.reset();
  }
}

engine::Origin Ports::origin(std::uint32_t ifindex) const {
  const auto found = names_.find(ifindex);
  return {context_.host(), found == names_.end() ? Text::null : found->second, ifindex};
}

std::vector<InterfaceStatus> Ports::statuses() const {
  std::vector<InterfaceStatus> live;
  for (const auto& [ifindex, port] : ports_) {
    auto& status = live.emplace_back();
    status.interface = origin(ifindex).interface;
    status.ifindex = ifindex;
    status.up = port.link.up;
    const PrimaryAddresses primary = primary_addresses(addresses_, ifindex);
    status.primary_ipv4 = primary.ipv4;
    status.primary_ipv6 = primary.ipv6;
  }
  std::vector<InterfaceStatus> all;
  for (const auto ifindex : being_read_) {
    const Text name = origin(ifindex).interface;
    // Where another has taken the name already, it is the one to describe: readers know interfaces by their names.
    const auto heir =
        std::find_if(live.begin(), live.end(), [name](const InterfaceStatus& s) { return s.interface == name; });
    auto& status = all.emplace_back();
    if (heir != live.end())
      status = *heir;
    else
      status.up = false;
    status.interface = name;
    status.ifindex = ifindex;
  }
  all.insert(all.end(), live.begin(), live.end());
  return all;
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> Ports::attached() const {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> all;
  for (const auto& [ifindex, port] : ports_) {
    const std::uint32_t directions = (port.ingress ? 1U << FFFA_INGRESS : 0U) | (port.egress ? 1U << FFFA_EGRESS : 0U);
    if (directions != 0) all.emplace_back(ifindex, directions);
  }
  return all;
}

std::vector<std::uint32_t> Ports::read_out_complete() {
  std::vector<std::uint32_t> gone(being_read_.begin(), being_read_.end());
  for (const auto ifindex : being_read_) leaving_.erase(ifindex);
  being_read_.clear();
  // One read-out later than all else, for a straggler.
  for (const auto ifindex : forgotten_) {
    if (!ports_.contains(ifindex) && !leaving_.contains(ifindex)) names_.erase(ifindex);
  }
  forgotten_ = gone;
  if (!gone.empty()) reconcile();
  return gone;
}

}  // namespace fffa::ebpf
