// SPDX-License-Identifier: MIT
// Random graphs with small edges, slow and failing stages: they always end, and every balance is exact.
#include <gtest/gtest.h>

#include <atomic>
#include <random>

#include "engine.h"
#include "fake_stages.h"

namespace fffa::core {
namespace {

using namespace fake;

class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {
    rig.pipeline.settings.threads = 1 + pick(3);
    rig.options.tuning.retry_longest = 2ms;
    rig.options.tuning.broken_enricher = 5ms;
    std::vector<std::string> from;
    for (int i = 0; i < 1 + pick(2); ++i) from.push_back(add_source(i));
    const auto middles = pick(5);
    for (int i = 0; i < middles; ++i) from.push_back(pick(3) == 0 ? add_aggregator(i, from) : add_enricher(i, from));
    const auto sinks = 1 + pick(3);
    for (int i = 0; i < sinks; ++i) add_sink(i, from);
  }
  Rig rig;
  std::atomic<int> emitted{0}, acknowledged{0};
  std::map<std::string, std::atomic<std::int64_t>> written;

 private:
  std::minstd_rand random_;

  int pick(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  std::size_t capacity() { return 1u << pick(8); }
  std::vector<std::string> some(const std::vector<std::string>& from) {
    std::vector<std::string> chosen;
    for (const auto& id : from)
      if (pick(2) == 0) chosen.push_back(id);
    if (chosen.empty()) chosen.push_back(from[static_cast<std::size_t>(pick(static_cast<int>(from.size())))]);
    return chosen;
  }
  std::string add_source(int i) {
    const auto id = "source" + std::to_string(i);
    const auto batches = 200 + pick(500);
    const auto size = static_cast<std::size_t>(pick(8));
    rig.source(id, [this, batches, size](Output& out) {
      for (int n = 0; n < batches; ++n) {
        ++emitted;
        out.emit(batch_of(size, n), [this](Outcome) { ++acknowledged; });
      }
      EXPECT_TRUE(out.settle());
      return Result<void>{};
    });
    return id;
  }
  std::string add_enricher(int i, const std::vector<std::string>& from) {
    const auto id = "enricher" + std::to_string(i);
    rig.enricher(
        id,
        [n = 0u, kind = pick(3)](Batch& batch) mutable -> Result<void> {
          ++n;
          if (kind == 1 && n % 3 == 0) throw std::runtime_error("now and then");
          if (kind == 2 && !batch.empty()) batch.records.pop_back();
          return {};
        },
        some(from), capacity());
    return id;
  }
  std::string add_aggregator(int i, const std::vector<std::string>& from) {
    struct State {
      std::vector<std::pair<Batch, Ticket>> held;
      unsigned n = 0;
    };
    const auto id = "aggregator" + std::to_string(i);
    rig.add(
        id, StageKind::aggregator,
        [kind = pick(3)](StageContext&, const ConfigNode&) {
          auto stage = std::make_unique<FakeAggregator>();
          auto state = std::make_shared<State>();
          const auto flush = [state](Emitter& emitter) {
            while (!state->held.empty() && emitter.room()) {
              auto [batch, ticket] = std::move(state->held.back());
              state->held.pop_back();
              emitter.emit(std::move(batch), {ticket});
            }
          };
          stage->on_add = [state, flush, kind](const Batch& batch, const Ticket& ticket,
                                               Emitter& emitter) -> Result<void> {
            if (++state->n % 50 == 0 && kind == 1) return fail("one in fifty");
            state->held.emplace_back(batch, ticket);
            if (state->held.size() > 20 || batch.watermark == kEndOfInput) flush(emitter);
            return {};
          };
          stage->on_resume = flush;
          return stage;
        },
        some(from), capacity());
    return id;
  }
  void add_sink(int i, const std::vector<std::string>& from) {
    const auto id = "sink" + std::to_string(i);
    auto& count = written[id];
    auto& spec = rig.sink(
        id,
        [n = 0u, kind = pick(4), &count](const Batch& batch) mutable -> Result<void> {
          ++n;
          if (kind == 1 && n % 40 == 0) return retry("busy");
          if (kind == 2 && n % 40 == 0) return reject("no");
          if (kind == 3 && n % 100 == 0) throw std::runtime_error("ouch");
          count += static_cast<std::int64_t>(batch.size());
          return {};
        },
        some(from), capacity(), pick(3) == 0 ? OnFull::drop : OnFull::block);
    spec.on_reject = OnReject::drop;
  }
};

class Stress : public testing::TestWithParam<unsigned> {};

TEST_P(Stress, EndsAndBalances) {
  RandomGraph graph(GetParam());
  const int code = graph.rig.run();
  EXPECT_TRUE(code == kExitOk || code == kExitLost) << code;
  EXPECT_EQ(graph.emitted, graph.acknowledged);
  for (const auto& [id, balance] : graph.rig.engine->balances()) {
    EXPECT_TRUE(balance.unaccounted().empty()) << id << ": " << to_string(balance) << "\n" << graph.rig.log->all();
    EXPECT_TRUE(balance.held.empty()) << id << ": " << to_string(balance);
    EXPECT_EQ(balance.delivered.records, graph.written[id]);
  }
}

INSTANTIATE_TEST_SUITE_P(Graphs, Stress, testing::Range(1u, 41u));

}  // namespace
}  // namespace fffa::core
