// SPDX-License-Identifier: MIT
// Windows: which interfaces were silent in a window, and of which packets are known to be missing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "fffa/batch.h"
#include "fffa/format.h"

namespace fffa::vpc_flow_log {

// A line that only an interface can give.
struct StatusLine {
  InterfaceStatus interface;
  LogStatus status = LogStatus::nodata;
  TimeNs start = 0;
  TimeNs end = 0;  // of the window, exclusive
};

// State: one entry per interface and window that the watermark has not passed yet. Batches of no window (straight from
// a source) count to the minute of their watermark.
class Windows {
 public:
  // Takes in what a batch says and gives the lines of every window that its watermark closes: SKIPDATA where packets
  // were lost, else NODATA where the interface was up, no record came and it counted no packet for one either (a `when`
  // before the sink may have taken the records). A window is closed once; what is lost after
  // that gives a SKIPDATA line of its own at once.
  std::vector<StatusLine> add(const Batch& batch);

 private:
  struct Seen {
    InterfaceStatus status;
  };
  struct Open {
    TimeNs end = 0;
    std::vector<Seen> interfaces;
    std::vector<Text> active;  // interfaces that had packets: records named them, or they counted some
  };
  std::map<TimeNs, Open> open_;
  TimeNs closed_ = 0;  // windows that end here or before are closed
  TimeNs watermark_ = 0;

  Window window_of(const Batch& batch) const;
  static void note(Open& open, const Batch& batch);
  static void note_active(Open& open, Text interface);
  static void close(TimeNs start, const Open& open, std::vector<StatusLine>& lines);
};

}  // namespace fffa::vpc_flow_log
