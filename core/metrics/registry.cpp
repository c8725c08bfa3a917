// SPDX-License-Identifier: MIT
#include "registry.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>

namespace fffa::core {

// One time series. Counters are exact integers here, and doubles only on the way out.
struct Registry::Cell final : Counter, Gauge {
  std::atomic<std::uint64_t> count{0};
  std::atomic<double> level{0};
  std::uint64_t shown_in;                      // which exposition; guarded by the registry's lock
  static constexpr std::uint64_t kAlways = 0;  // somebody may hold it
  explicit Cell(std::uint64_t exposition) : shown_in(exposition) {}
  void add(std::uint64_t n) override { count.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const override { return count.load(std::memory_order_relaxed); }
  void set(double value) override { level.store(value, std::memory_order_relaxed); }
};

struct Registry::Family {
  std::string help;
  bool is_counter = true;
  std::map<Labels, std::unique_ptr<Cell>> cells;
};

namespace {

bool valid_name(std::string_view name, bool colon) {
  const auto letter = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
  };
  return !name.empty() && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Cell& Registry::cell(std::string_view name, std::string_view help, const Labels& labels, bool is_counter,
                               std::uint64_t shown_in) {
  if (!valid_name(name, true)) throw std::invalid_argument("not a metric name: " + std::string(name));
  for (const auto& label : labels)
    if (!valid_name(label.first, false)) throw std::invalid_argument("not a label name: " + label.first);
  Labels sorted = labels;
  std::sort(sorted.begin(), sorted.end());
  const std::lock_guard lock(mutex_);
  auto [at, fresh] = families_.try_emplace(std::string(name));
  auto& family = at->second;
  if (fresh) {
    family.help = help;
    family.is_counter = is_counter;
  } else if (family.is_counter != is_counter) {
    throw std::invalid_argument("metric " + std::string(name) + " is both a counter and a gauge");
  }
  auto& cell = family.cells[std::move(sorted)];
  if (!cell) cell = std::make_unique<Cell>(shown_in);
  if (cell->shown_in != Cell::kAlways) cell->shown_in = shown_in;
  return *cell;
}

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  return cell(name, help, labels, true, Cell::kAlways);
}
Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  return cell(name, help, labels, false, Cell::kAlways);
}

void Registry::on_collect(std::function<void()> refresh) {
  const std::lock_guard lock(collect_mutex_);
  refresh_ = std::move(refresh);
}

void Registry::show(std::string_view name, std::string_view help, const Labels& labels, double value) {
  cell(name, help, labels, false, collection_).set(value);
}

std::string Registry::text() {
  const std::lock_guard one_at_a_time(collect_mutex_);
  ++collection_;
  if (refresh_) refresh_();
  std::vector<prometheus::MetricFamily> out;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, family] : families_) {
      std::erase_if(family.cells, [this](const auto& entry) {
        const auto shown_in = entry.second->shown_in;
        return shown_in != Cell::kAlways && shown_in != collection_;
      });
      if (family.cells.empty()) continue;
      auto& shown = out.emplace_back();
      shown.name = name;
      shown.help = family.help;
      shown.type = family.is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
      for (const auto& [labels, cell] : family.cells) {
        auto& metric = shown.metric.emplace_back();
        for (const auto& [key, value] : labels) metric.label.push_back({key, value});
        metric.counter.value = static_cast<double>(cell->value());
        metric.gauge.value = cell->level.load(std::memory_order_relaxed);
      }
    }
  }
  return prometheus::TextSerializer().Serialize(out);
}

}  // namespace fffa::core
