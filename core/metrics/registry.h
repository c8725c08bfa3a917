// SPDX-License-Identifier: MIT
// The process's own metrics: counters and gauges by name and labels, and their text in Prometheus' exposition format.
#pragma once

#include <cstdint>
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

// Any thread. The cells of counter() and gauge() live as long as the registry; finding one takes a lock (do it once),
// counting does not.
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
  // Runs before every exposition, to show() what is true at the moment; must not call text(). One at a time; empty:
  // none.
  void on_collect(std::function<void()> refresh);
  // A gauge of this exposition alone: what it is about may be gone by the next one. Inside on_collect()'s function.
  void show(std::string_view name, std::string_view help, const Labels& labels, double value);
  std::string text();

 private:
  struct Cell;
  struct Family;
  std::mutex mutex_;
  std::map<std::string, Family, std::less<>> families_;
  std::mutex collect_mutex_;
  std::function<void()> refresh_;
  std::uint64_t collection_ = 0;  // number of this exposition; guarded by collect_mutex_

  // `shown_in`: the exposition after which it goes, unless somebody may hold it.
  Cell& cell(std::string_view name, std::string_view help, const Labels& labels, bool is_counter,
             std::uint64_t shown_in);
};

}  // namespace fffa::core
