// SPDX-License-Identifier: MIT
#include "fffa_common/file_report.h"

#include <utility>

namespace fffa::common {

FileReport::FileReport(StageContext& context)
    : log_(context.log()),
      sealed_(context.metrics().counter("fffa_files_sealed_total", "Files given their final name")),
      lost_(context.metrics().counter("fffa_file_lines_lost_total", "Lines of unsealed files that others removed")) {}

void FileReport::on_event(const FileEvent& event) {
  using Kind = FileEvent::Kind;
  switch (event.kind) {
    case Kind::opened: break;
    case Kind::sealed:
      sealed_.add();
      log_.info("sealed " + event.path + ": " + std::to_string(event.lines) + " lines");
      break;
    case Kind::removed_by_others:
      lost_.add(event.lines);
      log_.warning(event.path + " was removed by others: " + std::to_string(event.lines) +
                   " lines are lost; going on in a new file");
      break;
    case Kind::moved_by_others: log_.warning(event.path + " was moved by others: going on in a new file"); break;
  }
}

void FileReport::reclaimed(const Leftovers& found) {
  sealed_.add(found.sealed);
  outcome(found.failed == 0 ? Result<void>() : retry(found.trouble), "cannot seal what a killed run left");
}

void FileReport::outcome(const Result<void>& result, const char* what) {
  auto failure = result.ok() ? std::string() : std::string(what) + ": " + result.error().message;
  if (!failure.empty() && failure != last_failure_) log_.warning(failure);
  last_failure_ = std::move(failure);
}

}  // namespace fffa::common
