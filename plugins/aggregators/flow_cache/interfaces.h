// SPDX-License-Identifier: MIT
// What the monitored interfaces saw, by window.
//
// A status covers the time from the interface's previous status to this one's watermark. Its amounts go to the window
// in which the middle of that time lies (a read-out meant for a window's edge comes a little after it), and the
// interface counts as monitored in every window that the time touches.
#pragma once

#include <vector>

#include "fffa/batch.h"

namespace fffa::flow_cache {

class Interfaces {
 public:
  // Time that an interface may stay without status before it counts as not monitored in between.
  explicit Interfaces(TimeNs max_silence) : max_silence_(max_silence) {}

  // Takes note of a status that came at the time `until` (> 0). The instant whose window its amounts belong to: the
  // middle, or, where it is the first or comes after too long a silence, just before `until`.
  TimeNs note(const InterfaceStatus& status, TimeNs until);
  // True if any interface was monitored in the window.
  bool any(const Window& window) const noexcept;
  // Adds, with nothing seen, those that were monitored in the window and are not in `statuses`.
  void complete(const Window& window, std::vector<InterfaceStatus>& statuses) const;
  // Forgets those last heard of before `time`, by more than the longest silence.
  void forget(TimeNs time);
  // End of the time monitored; 0 if no interface is known.
  TimeNs until() const noexcept;

 private:
  struct Known {
    InterfaceStatus last;  // its amounts are 0
    TimeNs from;           // monitored without a gap since then
    TimeNs until;
  };
  TimeNs max_silence_;
  std::vector<Known> known_;  // a handful, so it is searched one by one
};

// What `statuses` say but for the amounts, which are 0.
std::vector<InterfaceStatus> identities(std::vector<InterfaceStatus> statuses);

// Adds the amounts of `status` to those of the same interface, and takes over what else it says.
void add_status(std::vector<InterfaceStatus>& statuses, const InterfaceStatus& status);

}  // namespace fffa::flow_cache
