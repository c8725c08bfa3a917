// SPDX-License-Identifier: MIT
// The flow programs in the kernel, as tests and benchmarks use them. `Skeleton` is flow_bpf, or that of an object that
// includes it. Every failure throws: a test that cannot load its program has failed.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fffa_bpf/types.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace fffa::bpf_test {

struct FlowOptions {
  std::uint32_t entries = 65536;
  std::uint32_t ring_bytes = 1 << 20;
  bool open_geneve = true;
  bool end_events = true;
  bool manual_clock = false;
};

inline void check(int result, const char* what) {
  if (result >= 0) return;
  throw std::runtime_error(std::string(what) + ": " + std::strerror(-result) +
                           (geteuid() != 0 ? " (this needs root)" : ""));
}

template <class Skeleton>
class FlowProgram {
 public:
  explicit FlowProgram(const FlowOptions& options) : skeleton_(Skeleton::open()), options_(options) {
    if (!skeleton_) check(-errno, "open the flow object");
    auto* rodata = skeleton_->rodata;
    rodata->table_entries = options.entries;
    rodata->bucket_mask = fffa_bucket_count(options.entries) - 1;
    rodata->open_tunnels = options.open_geneve ? FFFA_OPEN_GENEVE : 0;
    rodata->tell_ends_from = options.end_events ? 0 : UINT32_MAX;
    rodata->manual_clock = options.manual_clock;
    auto& maps = skeleton_->maps;
    check(bpf_map__set_max_entries(maps.flows, options.entries), "size flows");
    check(bpf_map__set_max_entries(maps.buckets, fffa_bucket_count(options.entries)), "size buckets");
    check(bpf_map__set_max_entries(maps.tunnels, options.open_geneve ? options.entries : 1), "size tunnels");
    check(bpf_map__set_max_entries(maps.events, options.ring_bytes), "size events");
  }
  FlowProgram(const FlowProgram&) = delete;
  FlowProgram& operator=(const FlowProgram&) = delete;
  ~FlowProgram() {
    if (records_) munmap(records_, sizeof(fffa_drain_record) * FFFA_DRAIN_CHUNK);
    Skeleton::destroy(skeleton_);
  }

  void load() {
    check(Skeleton::load(skeleton_), "load the flow programs");
    void* memory = mmap(nullptr, sizeof(fffa_drain_record) * FFFA_DRAIN_CHUNK, PROT_READ, MAP_SHARED,
                        bpf_map__fd(skeleton_->maps.drain_records), 0);
    if (memory == MAP_FAILED) check(-errno, "map drain_records");
    records_ = static_cast<fffa_drain_record*>(memory);
  }

  Skeleton* operator->() { return skeleton_; }

  // Reads out the whole table; `each` gets every record. Returns the sum of the runs' results.
  template <class Each>
  fffa_drain_result drain(std::uint64_t idle_ns, std::uint64_t linger_ns, Each each, std::uint32_t flags = 0) {
    fffa_drain_result total{};
    const auto used = std::min(skeleton_->bss->table_state.next_index, options_.entries);
    for (std::uint32_t start = 0; start < used; start += FFFA_DRAIN_CHUNK) {
      const auto count = std::min<std::uint32_t>(used - start, FFFA_DRAIN_CHUNK);
      skeleton_->bss->drain_request = {0, idle_ns, linger_ns, start, count, flags, 0};
      const auto result = drain_once();
      for (std::uint32_t i = 0; i < result.records; ++i) each(records_[i]);
      total.records += result.records;
      total.deleted += result.deleted;
      total.busy += result.busy;
      total.in_use += result.in_use;
    }
    return total;
  }

  // One run of the read-out program, with the request as it stands.
  fffa_drain_result drain_once() {
    std::uint8_t data[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = sizeof data, .repeat = 1);
    check(bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.fffa_drain), &run), "run the read-out");
    return skeleton_->bss->drain_result;
  }

  // The counters of an interface, summed over the CPUs; ifindex 0: those that found no place.
  fffa_interface_counters counters(std::uint32_t ifindex) {
    std::uint32_t place = 0;
    while (place < FFFA_INTERFACES && (skeleton_->bss->interface_at[place] != ifindex || ifindex == 0)) ++place;
    return sum<fffa_interface_counters>(skeleton_->maps.interface_counters, place);
  }
  fffa_reason_counters reason(std::uint32_t reason) {
    return sum<fffa_reason_counters>(skeleton_->maps.reason_counters, reason);
  }

 private:
  template <class Value>
  static Value sum(bpf_map* map, std::uint32_t key) {
    std::vector<Value> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    check(bpf_map__lookup_elem(map, &key, sizeof key, values.data(), values.size() * sizeof(Value), 0),
          "read counters");
    std::uint64_t totals[sizeof(Value) / 8] = {};
    for (const auto& value : values) {
      std::uint64_t words[sizeof(Value) / 8];
      std::memcpy(words, &value, sizeof value);
      for (std::size_t i = 0; i < sizeof(Value) / 8; ++i) totals[i] += words[i];
    }
    Value total;
    std::memcpy(&total, totals, sizeof total);
    return total;
  }

  Skeleton* skeleton_;
  FlowOptions options_;
  fffa_drain_record* records_ = nullptr;
};

}  // namespace fffa::bpf_test
