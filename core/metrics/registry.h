// SPDX-License-Identifier: MIT
// The process's own metrics: counters and gauges by name and labels, and their text in Prometheus' exposition format.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fffa/context.h"

namespace fffa::core {

using Labels = std::vector<std::pair<std::string, std::string>>;

// Any thread. Cells live as long as the registry; finding one takes a lock (do it once), counting does not.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Equal name and labels give the same cell. Throws std::invalid_argument on a name or label name that Prometheus does
  // not allow, or a name that is already of the other kind.
  Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
  // Runs before every exposition, to refresh gauges; must not call text(). One at a time; empty: none.
  void on_collect(std::function<void()> refresh);
  std::string text();

 private:
  struct Cell;
  struct Family;
  std::mutex mutex_;
  std::map<std::string, Family, std::less<>> families_;
  std::mutex collect_mutex_;
  std::function<void()> refresh_;

  Cell& cell(std::string_view name, std::string_view help, const Labels& labels, bool is_counter);
};

}  // namespace fffa::core
