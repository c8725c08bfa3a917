// SPDX-License-Identifier: MIT
// What the tests of this folder share: records, tickets and an emitter that checks the discipline of its stage.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "flow_cache.h"

namespace fffa::flow_cache::testing {

inline constexpr TimeNs kSecond = 1'000'000'000;
inline constexpr TimeNs kBase = 1'767'225'600 * kSecond;  // 2026-01-01T00:00:00Z
inline TimeNs at(double seconds) {
  return kBase + static_cast<TimeNs>(seconds * 1e9);
}

// A TCP delta of flow number `flow`, from second `first` to second `last` after kBase.
inline FlowRecord delta(std::uint32_t flow, double first, double last, std::uint64_t packets = 1) {
  FlowRecord record;
  record.flow.family = 4;
  record.flow.protocol = 6;
  record.flow.src = {10, 0, static_cast<std::uint8_t>(flow >> 16), static_cast<std::uint8_t>(flow >> 8)};
  record.flow.dst = {10, 9, 9, 9};
  record.flow.src_port = static_cast<std::uint16_t>(1024 + (flow & 0xff));
  record.flow.dst_port = 443;
  record.interface = Text{1};
  record.direction = Direction::ingress;
  record.set(Has::tcp);
  record.conn_state = ConnState::S1;
  record.packets = packets;
  record.bytes = packets * 100;
  record.first_seen = at(first);
  record.last_seen = at(last);
  return record;
}

// Counts how often tickets completed.
class Tickets {
 public:
  Ticket make() {
    done_.push_back(0);
    return Ticket(std::make_shared<State>(*this, done_.size() - 1));
  }
  bool done(std::size_t i) const { return done_[i] == 1; }
  bool all_done() const {
    for (const int n : done_) {
      if (n != 1) return false;
    }
    return true;
  }

 private:
  struct State final : Ticket::State {
    State(Tickets& owner, std::size_t index) : owner_(owner), index_(index) {}
    ~State() override { ++owner_.done_[index_]; }
    void worsen(Outcome) noexcept override {}
    Tickets& owner_;
    std::size_t index_;
  };
  std::vector<int> done_;
};

// Keeps what was emitted. Every batch is checked: size, watermark, window.
class Recorder final : public Emitter {
 public:
  std::vector<Batch> batches;
  std::vector<std::vector<Ticket>> tickets;
  int rooms = -1;  // batches until room() says no; -1: always room

  void emit(Batch batch, std::vector<Ticket> with) override {
    EXPECT_LE(batch.size(), kBatchRecords);
    EXPECT_GE(batch.watermark, watermark_);
    watermark_ = batch.watermark;
    for (const auto& record : batch) {
      if (batch.window.end == 0) continue;
      const TimeNs time = record.first_seen != 0 ? record.first_seen : record.refused_first_seen;
      if (!record.cumulative) {
        EXPECT_GE(time, batch.window.start);
        EXPECT_LT(time, batch.window.end);
      }
    }
    if (rooms > 0 && !batch.empty()) --rooms;
    batches.push_back(std::move(batch));
    tickets.push_back(std::move(with));
  }
  bool room() const override { return rooms != 0; }

  TimeNs watermark() const { return watermark_; }
  // Every record that was emitted, with the start of its window in seconds after kBase.
  std::vector<std::pair<long, FlowRecord>> records() const {
    std::vector<std::pair<long, FlowRecord>> all;
    for (const auto& batch : batches) {
      for (const auto& record : batch) all.emplace_back((batch.window.start - kBase) / kSecond, record);
    }
    return all;
  }
  // Every status, likewise.
  std::vector<std::pair<long, InterfaceStatus>> statuses() const {
    std::vector<std::pair<long, InterfaceStatus>> all;
    for (const auto& batch : batches) {
      for (const auto& status : batch.interfaces) all.emplace_back((batch.window.start - kBase) / kSecond, status);
    }
    return all;
  }
  void clear() {
    batches.clear();
    tickets.clear();
  }

 private:
  TimeNs watermark_ = 0;
};

struct Fixture {
  explicit Fixture(Options options = {}) : cache(options) {}
  Tickets tickets;  // outlives those that hold some
  FlowCache cache;
  Recorder out;

  void add(std::vector<FlowRecord> records, double watermark, std::vector<InterfaceStatus> interfaces = {}) {
    add_at(std::move(records), at(watermark), std::move(interfaces));
  }
  void end(std::vector<FlowRecord> records = {}) { add_at(std::move(records), kEndOfInput, {}); }
  void add_at(std::vector<FlowRecord> records, TimeNs watermark, std::vector<InterfaceStatus> interfaces) {
    Batch batch;
    batch.records = std::move(records);
    batch.watermark = watermark;
    batch.interfaces = std::move(interfaces);
    cache.add(batch, tickets.make(), out);
  }
};

}  // namespace fffa::flow_cache::testing
