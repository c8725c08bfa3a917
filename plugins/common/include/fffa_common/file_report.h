// SPDX-License-Identifier: MIT
// FileReport: what a sink that writes sealed files says about them, in its log and metrics.
#pragma once

#include <string>

#include "fffa/context.h"
#include "fffa/result.h"
#include "fffa_common/leftovers.h"
#include "fffa_common/sealed_file.h"

namespace fffa::common {

// The stage's thread.
class FileReport {
 public:
  explicit FileReport(StageContext& context);

  void on_event(const FileEvent& event);
  void reclaimed(const Leftovers& found);
  // Says a failure once, until it is another or none.
  void outcome(const Result<void>& result, const char* what);

 private:
  Logger& log_;
  Counter& sealed_;
  Counter& lost_;
  std::string last_failure_;
};

}  // namespace fffa::common
