// SPDX-License-Identifier: MIT
// FlowCache by scenario. Windows are 5 s and lateness 5 s unless a test says otherwise; times are seconds after
// midnight UTC.
#include "flow_cache.h"

#include "flow_cache_testing.h"

namespace fffa::flow_cache {
namespace {

using testing::at;
using testing::delta;
using testing::Fixture;
using testing::kSecond;

Options cumulative() {
  Options options;
  options.cumulative = true;
  return options;
}
InterfaceStatus status(std::uint64_t seen, std::uint64_t lost = 0) {
  InterfaceStatus status;
  status.interface = Text{1};
  status.seen = {seen, seen * 100};
  status.lost = {lost, lost * 100};
  return status;
}

// ---- windows

TEST(FlowCache, MergesTheDeltasOfAWindowIntoOneRecord) {
  Fixture f;
  f.add({delta(1, 0.1, 0.9, 3), delta(2, 0.5, 0.6)}, 1);
  f.add({delta(1, 1.1, 1.9, 4)}, 2);
  EXPECT_TRUE(f.out.records().empty());
  f.out.clear();
  f.add({}, 10);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].second.packets, 7u);
  EXPECT_EQ(records[0].second.bytes, 700u);
  EXPECT_EQ(records[0].second.first_seen, at(0.1));
  EXPECT_EQ(records[0].second.last_seen, at(1.9));
  EXPECT_EQ(records[0].second.flow_end_reason, FlowEndReason::none);
  EXPECT_EQ(f.out.batches[0].window, (Window{at(0), at(5)}));
}

TEST(FlowCache, ADeltaBelongsToTheWindowOfItsFirstPacket) {
  Fixture f;
  f.add({delta(1, 4.9, 5.1), delta(1, 5.0, 5.2)}, 6);
  f.add({}, 20);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].first, 0);
  EXPECT_EQ(records[1].first, 5);
}

TEST(FlowCache, AWindowClosesLatenessAfterItsEndAndNotBefore) {
  Options options;
  options.lateness = 2 * kSecond;
  Fixture f(options);
  f.add({delta(1, 1, 2)}, 6.999);
  EXPECT_TRUE(f.out.records().empty());
  f.add({delta(1, 4, 4)}, 7);  // late, but in time
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].second.packets, 2u);
  EXPECT_EQ(f.cache.late_records(), 0u);
}

TEST(FlowCache, WhatComesAfterTheClosingMakesACountedExtraRecord) {
  Fixture f;
  f.add({delta(1, 1, 2, 5)}, 10);
  ASSERT_EQ(f.out.records().size(), 1u);
  f.out.clear();
  f.add({delta(1, 3, 3), delta(1, 4, 4), delta(2, 4, 4), delta(1, 9, 9)}, 11);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 2u);  // the two late deltas of flow 1 in one
  EXPECT_EQ(records[0].first, 0);
  EXPECT_EQ(records[0].second.packets, 2u);
  EXPECT_EQ(f.cache.late_records(), 2u);
  EXPECT_EQ(f.out.watermark(), at(5));  // did not go back
  f.end();
  EXPECT_TRUE(f.tickets.all_done() || !f.out.tickets.empty());
}

TEST(FlowCache, OnlyTheWatermarkMovesTime) {
  Fixture f;
  f.add({delta(1, 1, 2)}, 3);
  f.add({delta(1, 500, 500)}, 4);
  EXPECT_TRUE(f.out.records().empty());
  f.add({}, 10);
  EXPECT_EQ(f.out.records().size(), 1u);
}

TEST(FlowCache, PassesTheWatermarkOnWithNothingToSay) {
  Fixture f;
  f.add({}, 3);
  EXPECT_EQ(f.out.watermark(), at(-5));
  f.add({}, 23);
  ASSERT_EQ(f.out.batches.size(), 2u);
  EXPECT_TRUE(f.out.batches[1].empty());
  EXPECT_EQ(f.out.watermark(), at(15));
  f.add({}, 24);
  EXPECT_EQ(f.out.batches.size(), 2u);
  f.end();
  EXPECT_EQ(f.out.watermark(), kEndOfInput);
}

TEST(FlowCache, AWatermarkThatGoesBackIsIgnored) {
  Fixture f;
  f.add({delta(1, 1, 1)}, 10);
  f.add({delta(1, 11, 11)}, 3);
  f.add({}, 21);
  EXPECT_EQ(f.out.records().size(), 2u);
  EXPECT_EQ(f.out.watermark(), at(15));
}

// ---- room and tickets

TEST(FlowCache, StopsWithoutRoomAndGoesOn) {
  Fixture f;
  std::vector<FlowRecord> records;
  for (std::uint32_t i = 0; i < 10'000; ++i) records.push_back(delta(i, 1, 2));
  f.out.rooms = 1;
  f.add(records, 10);
  ASSERT_EQ(f.out.batches.size(), 1u);
  EXPECT_EQ(f.out.batches[0].size(), kBatchRecords);
  EXPECT_LT(f.out.watermark(), at(5));  // the window is not all out
  f.cache.resume(f.out);
  EXPECT_EQ(f.out.batches.size(), 1u);
  f.out.rooms = 1;
  f.cache.resume(f.out);
  EXPECT_EQ(f.out.batches.size(), 2u);
  EXPECT_LT(f.out.watermark(), at(5));
  f.out.rooms = -1;
  f.cache.resume(f.out);
  EXPECT_EQ(f.out.records().size(), 10'000u);
  EXPECT_EQ(f.out.watermark(), at(5));
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
}

TEST(FlowCache, InputInSpiteOfNoRoomLosesNothing) {
  Fixture f;
  std::vector<FlowRecord> records;
  for (std::uint32_t i = 0; i < 5'000; ++i) records.push_back(delta(i, 1, 2));
  f.out.rooms = 1;
  f.add(records, 10);
  f.out.rooms = 0;
  f.add({delta(1, 3, 3), delta(7000, 6, 6)}, 15);
  f.out.rooms = -1;
  f.end();
  std::uint64_t packets = 0;
  for (const auto& [window, record] : f.out.records()) packets += record.packets;
  EXPECT_EQ(packets, 5'002u);
}

TEST(FlowCache, ATicketIsHeldByEveryWindowThatItsBatchTouched) {
  Fixture f;
  f.add({delta(1, 4, 4), delta(1, 6, 6)}, 7);  // windows 0 and 5
  f.add({delta(2, 6, 6)}, 8);                  // window 5
  f.add({}, 9);                                // none
  EXPECT_TRUE(f.tickets.done(2));
  f.add({}, 10);
  f.out.clear();
  EXPECT_FALSE(f.tickets.done(0));
  f.add({}, 15);
  EXPECT_FALSE(f.tickets.done(0));  // with the sink
  EXPECT_FALSE(f.tickets.done(1));
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
}

// ---- ends

TEST(FlowCache, SaysThatTheConnectionEndedInTheWindowThatSawIt) {
  const ConnState closed[] = {ConnState::SF,   ConnState::REJ,    ConnState::RSTO,
                              ConnState::RSTR, ConnState::RSTOS0, ConnState::RSTRH};
  for (const ConnState state : closed) {
    Fixture f;
    FlowRecord end = delta(1, 2, 2);
    end.conn_state = state;
    f.add({delta(1, 1, 1), end}, 3);
    EXPECT_TRUE(f.out.records().empty());  // no early record
    f.add({delta(1, 3.5, 3.5)}, 4);
    f.add({}, 10);
    ASSERT_EQ(f.out.records().size(), 1u);
    // the trailing delta says S1, as a new connection would: then the flow goes on
    EXPECT_EQ(f.out.records()[0].second.flow_end_reason, FlowEndReason::none);
  }
  Fixture f;
  FlowRecord end = delta(1, 2, 2);
  end.conn_state = ConnState::SF;
  FlowRecord trailing = delta(1, 2.1, 2.1);
  trailing.conn_state = ConnState::SF;
  f.add({end}, 3);
  f.add({trailing}, 4);
  f.add({}, 10);
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].second.packets, 2u);
  EXPECT_EQ(f.out.records()[0].second.flow_end_reason, FlowEndReason::end_of_flow);
}

TEST(FlowCache, AResetEndsAFlowWhoseStateIsUnknown) {
  for (const ConnState state : {ConnState::OTH, ConnState::S1}) {
    Fixture f;
    FlowRecord reset = delta(1, 1, 1);
    reset.conn_state = state;
    reset.tcp_flags = 4;
    f.add({reset}, 10);
    EXPECT_EQ(f.out.records()[0].second.flow_end_reason,
              state == ConnState::OTH ? FlowEndReason::end_of_flow : FlowEndReason::none);
  }
}

TEST(FlowCache, SaysIdleOnTheLastRecordWhereTheWindowsEndKnowsIt) {
  Options options;
  options.interval = 60 * kSecond;
  options.idle_timeout = 30 * kSecond;
  Fixture f(options);
  f.add({delta(1, 1, 29), delta(2, 1, 31)}, 65);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].second.flow_end_reason, FlowEndReason::idle_timeout);
  EXPECT_EQ(records[1].second.flow_end_reason, FlowEndReason::none);
}

TEST(FlowCache, IntervalModeEmitsNothingForSilentFlows) {
  Fixture f;
  f.add({delta(1, 1, 2)}, 3);
  f.add({}, 500);
  f.end();
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].second.packets, 1u);
}

TEST(FlowCache, EndOfInputIsAForcedEndOnTheLastRecordOfEachFlow) {
  Fixture f;
  f.add({delta(1, 1, 2), delta(1, 6, 6), delta(2, 1, 2)}, 7);
  f.end({delta(3, 7, 7)});
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].second.flow_end_reason, FlowEndReason::none);        // flow 1 comes again
  EXPECT_EQ(records[1].second.flow_end_reason, FlowEndReason::forced_end);  // flow 2
  EXPECT_EQ(records[2].second.flow_end_reason, FlowEndReason::forced_end);
  EXPECT_EQ(records[3].second.flow_end_reason, FlowEndReason::forced_end);
  EXPECT_EQ(f.out.watermark(), kEndOfInput);
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
  EXPECT_EQ(f.cache.records(), 0u);
}

TEST(FlowCache, AnActiveTimeoutIsToldInIntervalMode) {
  Options options;
  options.active_timeout = 10 * kSecond;
  Fixture f(options);
  for (int second = 0; second < 30; second += 5) f.add({delta(1, second, second + 4)}, second + 5);
  f.add({}, 60);
  std::vector<FlowEndReason> reasons;
  for (const auto& [window, record] : f.out.records()) reasons.push_back(record.flow_end_reason);
  using enum FlowEndReason;
  EXPECT_EQ(reasons, (std::vector{none, active_timeout, none, active_timeout, none, active_timeout}));
}

// ---- cumulative

TEST(FlowCache, CumulativeRecordsRunFromTheBeginning) {
  Fixture f(cumulative());
  f.add({delta(1, 1, 2, 3)}, 3);
  f.add({delta(1, 6, 7, 4)}, 8);
  f.add({}, 20);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].second.packets, 3u);
  EXPECT_EQ(records[0].second.new_packets, 3u);
  EXPECT_EQ(records[1].second.packets, 7u);
  EXPECT_EQ(records[1].second.new_packets, 4u);
  EXPECT_EQ(records[1].second.new_bytes, 400u);
  EXPECT_EQ(records[2].second.packets, 7u);  // a silent flow is still told of
  EXPECT_EQ(records[2].second.new_packets, 0u);
  for (const auto& [window, record] : records) {
    EXPECT_TRUE(record.cumulative);
    EXPECT_EQ(record.first_seen, at(1));
  }
}

TEST(FlowCache, ATotalDoesNotCountPacketsOfLaterWindows) {
  Fixture f(cumulative());
  f.add({delta(1, 1, 2, 3), delta(1, 6, 7, 4)}, 10);  // both are known when the first window closes
  ASSERT_EQ(f.out.records().size(), 1u);
  EXPECT_EQ(f.out.records()[0].second.packets, 3u);
}

TEST(FlowCache, CumulativeModeRepeatsTheTotalsOnceMoreWhenTheFlowIsIdle) {
  Options options = cumulative();
  options.idle_timeout = 12 * kSecond;
  Fixture f(options);
  f.add({delta(1, 1, 2, 3)}, 3);
  f.add({}, 200);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 3u);  // windows 0, 5 and 10; silent since 2, so idle at 14
  EXPECT_EQ(records[2].first, 10);
  EXPECT_EQ(records[2].second.packets, 3u);
  EXPECT_EQ(records[2].second.flow_end_reason, FlowEndReason::idle_timeout);
  EXPECT_EQ(records[1].second.flow_end_reason, FlowEndReason::none);
  f.add({delta(1, 201, 202, 9)}, 300);
  EXPECT_EQ(f.out.records()[3].second.packets, 9u);  // a new flow
}

TEST(FlowCache, AReplayInOneStepSaysTheSameAsALiveRun) {
  for (const bool is_cumulative : {false, true}) {
    Options options;
    options.cumulative = is_cumulative;
    options.idle_timeout = 12 * kSecond;
    Fixture live(options);
    Fixture replay(options);
    std::vector<FlowRecord> all;
    for (int second = 0; second < 100; ++second) {
      std::vector<FlowRecord> now;
      if (second % 17 < 3) now.push_back(delta(1, second, second + 0.5));
      if (second < 20) now.push_back(delta(2, second + 0.3, second + 0.4));
      all.insert(all.end(), now.begin(), now.end());
      live.add(now, second + 1);
    }
    live.end();
    replay.add(all, 100);
    replay.end();
    const auto a = live.out.records();
    const auto b = replay.out.records();
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].first, b[i].first);
      EXPECT_EQ(a[i].second.packets, b[i].second.packets);
      EXPECT_EQ(a[i].second.flow_end_reason, b[i].second.flow_end_reason) << i;
    }
  }
}

TEST(FlowCache, CumulativeLateDeltasGoIntoTheNextTotals) {
  Fixture f(cumulative());
  f.add({delta(1, 1, 2, 3)}, 10);
  f.add({delta(1, 3, 3, 2)}, 11);
  f.add({}, 15);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].second.packets, 5u);
  EXPECT_EQ(records[1].second.new_packets, 2u);
  EXPECT_EQ(f.cache.late_records(), 1u);
}

TEST(FlowCache, TheEndOfInputEndsEveryTotalOnce) {
  Fixture f(cumulative());
  f.add({delta(1, 1, 2, 3)}, 20);  // all windows with packets are closed
  f.out.clear();
  f.end();
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].first, 15);  // the input had reached 20
  EXPECT_EQ(records[0].second.flow_end_reason, FlowEndReason::forced_end);
  EXPECT_EQ(records[0].second.packets, 3u);
  EXPECT_EQ(records[0].second.new_packets, 0u);
}

TEST(FlowCache, AnActiveTimeoutRestartsATotal) {
  Options options = cumulative();
  options.active_timeout = 10 * kSecond;
  Fixture f(options);
  for (int second = 0; second < 20; second += 5) f.add({delta(1, second, second + 4)}, second + 5);
  f.add({}, 25);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[1].second.packets, 2u);
  EXPECT_EQ(records[1].second.flow_end_reason, FlowEndReason::active_timeout);
  EXPECT_EQ(records[2].second.packets, 1u);
  EXPECT_EQ(records[2].second.first_seen, at(10));
}

// ---- interfaces

TEST(FlowCache, StatusesAddUpAndGoOutOnceWithTheWindowsLastBatch) {
  Fixture f;
  std::vector<FlowRecord> many;
  for (std::uint32_t i = 0; i < 700; ++i) many.push_back(delta(i, 1, 2));
  f.add(many, 2, {status(5'000)});
  f.add({}, 4, {status(10)});
  f.add({}, 6, {status(1)});  // from 4 to 6: the middle lies in the next window
  f.add({}, 10, {});
  const auto statuses = f.out.statuses();
  ASSERT_EQ(statuses.size(), 2u);
  EXPECT_EQ(statuses[0].second.interface, Text{1});
  EXPECT_EQ(statuses[0].second.seen, Volume{}) << "who it is, before the first record; no amounts";
  EXPECT_EQ(statuses[1].second.seen, (Volume{5'010, 501'000}));
  EXPECT_EQ(f.out.batches.back().interfaces.size(), 1u);
  EXPECT_EQ(f.out.batches.back().size(), 700 - kBatchRecords);
}

TEST(FlowCache, AReadOutJustAfterTheEdgeCountsForTheWindowItWasMeantFor) {
  Fixture f;
  f.add({}, 4, {status(1)});
  f.add({}, 5.003, {status(7)});
  f.add({}, 10);
  ASSERT_GE(f.out.statuses().size(), 1u);
  EXPECT_EQ(f.out.statuses()[0].first, 0);
  EXPECT_EQ(f.out.statuses()[0].second.seen.packets, 8u);
}

TEST(FlowCache, AMonitoredInterfaceIsToldOfInEveryWindow) {
  Fixture f;
  f.add({}, 4, {status(1)});
  f.add({}, 19, {status(2)});  // covers windows 0, 5, 10 and 15
  f.add({}, 40);
  std::vector<std::pair<long, std::uint64_t>> told;
  for (const auto& [window, s] : f.out.statuses()) told.emplace_back(window, s.seen.packets);
  EXPECT_EQ(told, (std::vector<std::pair<long, std::uint64_t>>{{0, 1}, {5, 0}, {10, 2}, {15, 0}}));
}

TEST(FlowCache, AnInterfaceThatIsNotReportedAnyMoreIsNotMonitored) {
  Fixture f;
  f.add({}, 4, {status(1)});
  for (int second = 5; second < 3600; second += 5) f.add({}, second);
  f.add({}, 3604, {status(1)});
  f.add({}, 3700);
  EXPECT_EQ(f.out.statuses().size(), 2u);
}

TEST(FlowCache, AnInterfaceThatIsReportedAgainWithNothingCountedIsMonitoredFromThenOn) {
  Fixture f;
  f.add({}, 4, {status(1)});
  f.add({}, 3600, {status(0)});
  f.add({}, 3603, {status(1)});
  f.add({}, 3700);
  std::vector<std::pair<long, std::uint64_t>> told;
  for (const auto& [window, s] : f.out.statuses()) told.emplace_back(window, s.seen.packets);
  EXPECT_EQ(told, (std::vector<std::pair<long, std::uint64_t>>{{0, 1}, {3600, 1}}));
}

TEST(FlowCache, LossesMarkTheRecordsOfTheirWindowAndInterface) {
  Fixture f;
  FlowRecord other = delta(2, 1, 2);
  other.interface = Text{2};
  f.add({delta(1, 1, 2), other, delta(1, 6, 6)}, 3, {status(3, 1)});
  f.add({}, 20);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_TRUE(records[0].second.incomplete);
  EXPECT_FALSE(records[1].second.incomplete);
  EXPECT_FALSE(records[2].second.incomplete);
}

TEST(FlowCache, StatusesWithoutAnyTimeGoOutAtOnce) {
  Fixture f;
  f.add_at({}, kEndOfInput, {status(4, 4)});
  ASSERT_FALSE(f.out.batches.empty());
  EXPECT_EQ(f.out.batches[0].interfaces[0].lost.packets, 4u);
  EXPECT_EQ(f.out.batches[0].window, Window{});
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
}

TEST(FlowCache, StatusesOfTheEndGoOutWithItsWindow) {
  Fixture f;
  f.add({delta(1, 1, 2)}, 3, {status(1)});
  f.add_at({delta(1, 3, 4)}, kEndOfInput, {status(2)});
  std::uint64_t seen = 0;
  for (const auto& [window, s] : f.out.statuses()) seen += s.seen.packets;
  EXPECT_EQ(seen, 3u);
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
}

// ---- memory and odd input

TEST(FlowCache, MemoryIsBoundedAndNothingIsLost) {
  for (const bool is_cumulative : {false, true}) {
    Options options;
    options.cumulative = is_cumulative;
    options.max_memory = 8 << 20;
    Fixture f(options);
    std::uint64_t sent = 0;
    std::size_t peak = 0;
    for (std::uint32_t i = 0; i < 100; ++i) {
      std::vector<FlowRecord> records;
      for (std::uint32_t j = 0; j < 1000; ++j) records.push_back(delta(i * 1000 + j, i * 0.2, i * 0.2));
      sent += records.size();
      f.add(records, i * 0.2);
      peak = std::max(peak, f.cache.memory());
    }
    f.end();
    std::uint64_t packets = 0;
    std::uint64_t early = 0;
    for (const auto& [window, record] : f.out.records()) {
      packets += record.accounted_packets();
      early += record.flow_end_reason == FlowEndReason::lack_of_resources;
    }
    EXPECT_EQ(packets, sent);
    EXPECT_GT(early, 50'000u);
    EXPECT_EQ(early, f.cache.early_records());
    EXPECT_LE(peak, options.max_memory + (1 << 20));
    f.out.clear();
    EXPECT_TRUE(f.tickets.all_done());
  }
}

TEST(FlowCache, UnderPressureSilentTotalsGoFirst) {
  Options options = cumulative();
  options.idle_timeout = 0;
  options.max_memory = 8 << 20;
  Fixture f(options);
  std::uint32_t fresh = 10;
  for (int second = 0; second < 100; ++second) {
    std::vector<FlowRecord> records{delta(1, second, second + 0.5)};
    for (int i = 0; i < 300; ++i) records.push_back(delta(fresh++, second, second));
    f.add(records, second + 1);
  }
  std::uint64_t most = 0;
  for (const auto& [window, record] : f.out.records()) {
    if (record.flow == delta(1, 0, 0).flow) most = std::max(most, record.packets);
  }
  EXPECT_GT(f.cache.early_records(), 0u);
  EXPECT_GT(most, 85u);  // the busy flow was never restarted
}

TEST(FlowCache, RecordsOfRefusedPacketsAloneHaveTheirTime) {
  Fixture f;
  FlowRecord refused = delta(1, 0, 0, 0);
  refused.first_seen = refused.last_seen = 0;
  refused.refused_packets = 3;
  refused.refused_first_seen = at(6);
  refused.refused_last_seen = at(7);
  f.add({refused}, 8);
  f.add({}, 20);
  const auto records = f.out.records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].first, 5);
  EXPECT_EQ(records[0].second.refused_packets, 3u);
}

TEST(FlowCache, SurvivesDamagedTimes) {
  Fixture f(cumulative());
  FlowRecord never = delta(1, 0, 0);
  never.first_seen = 0;
  never.last_seen = 0;
  FlowRecord negative = delta(2, 0, 0);
  negative.first_seen = std::numeric_limits<TimeNs>::min();
  FlowRecord far = delta(3, 0, 0);
  far.first_seen = far.last_seen = std::numeric_limits<TimeNs>::max();
  f.add({delta(9, 1, 1), never, negative, far}, 2, {status(4)});
  f.add({}, 30, {status(1)});
  f.end();
  std::uint64_t packets = 0;
  for (const auto& batch : f.out.batches) packets += batch.volume().packets;
  EXPECT_EQ(packets, 4u);
  f.out.clear();
  EXPECT_TRUE(f.tickets.all_done());
}

}  // namespace
}  // namespace fffa::flow_cache
