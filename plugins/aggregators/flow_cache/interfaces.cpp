// SPDX-License-Identifier: MIT
#include "interfaces.h"

#include <algorithm>

namespace fffa::flow_cache {
namespace {

void take(Text& known, Text now) noexcept {
  if (now != Text::null) known = now;
}
void take(Address& known, const Address& now) noexcept {
  if (now != Address{}) known = now;
}

// All but the amounts. What is unknown now stays what it was: an identity that came late or was lost is still the
// interface's.
void describe(InterfaceStatus& known, const InterfaceStatus& now) noexcept {
  known.ifindex = now.ifindex;
  known.up = now.up;
  take(known.aws.account, now.aws.account);
  take(known.aws.vpc, now.aws.vpc);
  take(known.aws.subnet, now.aws.subnet);
  take(known.aws.instance, now.aws.instance);
  take(known.aws.az, now.aws.az);
  take(known.aws.az_id, now.aws.az_id);
  take(known.aws.region, now.aws.region);
  take(known.aws.eni, now.aws.eni);
  take(known.primary_ipv4, now.primary_ipv4);
  take(known.primary_ipv6, now.primary_ipv6);
}

}  // namespace

void add_status(std::vector<InterfaceStatus>& statuses, const InterfaceStatus& status) {
  for (auto& known : statuses) {
    if (known.interface != status.interface) continue;
    describe(known, status);
    known.seen += status.seen;
    known.filtered += status.filtered;
    known.lost += status.lost;
    return;
  }
  statuses.push_back(status);
}

std::vector<InterfaceStatus> identities(std::vector<InterfaceStatus> statuses) {
  for (auto& status : statuses) status.seen = status.filtered = status.lost = {};
  return statuses;
}

TimeNs Interfaces::note(const InterfaceStatus& status, TimeNs until) {
  const auto known = std::find_if(known_.begin(), known_.end(),
                                  [&](const Known& candidate) { return candidate.last.interface == status.interface; });
  if (known == known_.end()) {
    InterfaceStatus last = status;
    last.seen = last.filtered = last.lost = {};
    known_.push_back({last, until - 1, until});
    return until - 1;
  }
  describe(known->last, status);
  const TimeNs previous = known->until;
  if (until <= previous) return until - 1;
  known->until = until;
  if (until - previous <= max_silence_) return previous + (until - previous) / 2;
  // Not watched in between; what was counted is from before `until`, and with nothing counted it is watched from now
  // on.
  const bool counted = status.seen != Volume{} || status.filtered != Volume{} || status.lost != Volume{};
  known->from = counted ? until - 1 : until;
  return known->from;
}

bool Interfaces::any(const Window& window) const noexcept {
  return std::any_of(known_.begin(), known_.end(),
                     [&](const Known& known) { return known.from < window.end && known.until > window.start; });
}

void Interfaces::complete(const Window& window, std::vector<InterfaceStatus>& statuses) const {
  for (const auto& known : known_) {
    if (known.from >= window.end || known.until <= window.start) continue;
    const bool there = std::any_of(statuses.begin(), statuses.end(), [&](const InterfaceStatus& status) {
      return status.interface == known.last.interface;
    });
    if (!there) statuses.push_back(known.last);
  }
}

void Interfaces::forget(TimeNs time) {
  std::erase_if(known_, [&](const Known& known) { return time - known.until > max_silence_; });
}

TimeNs Interfaces::until() const noexcept {
  TimeNs until = 0;
  for (const auto& known : known_) until = std::max(until, known.until);
  return until;
}

}  // namespace fffa::flow_cache
