// SPDX-License-Identifier: MIT
// Stages at work: what the host relies on.
#include <algorithm>
#include <chrono>

#include "checks.h"
#include "fffa/testing/harness.h"
#include "fffa/testing/records.h"
#include "isolated.h"

namespace fffa::testing {

namespace {

using namespace std::chrono_literals;
using Run = std::string (*)(Harness& harness);

std::unique_ptr<Harness> make(const Subject& subject) {
  auto made =
      Harness::make(subject.type, subject.config, std::make_unique<TestContext>("conformance", subject.type.name));
  if (!made.ok()) throw Failure(made.error());
  return std::move(*made);
}

std::string on_new(const Subject& subject, Run run) {
  auto harness = make(subject);
  return run(*harness);
}

// The first time may open what stays for the process; the times after it must leave nothing.
std::string leaves_nothing(const Subject& subject, int times, Run run) {
  if (auto problem = on_new(subject, run); !problem.empty()) return problem;
  const Footprint before = footprint();
  for (int i = 0; i < times; ++i) {
    if (auto problem = on_new(subject, run); !problem.empty()) return problem;
  }
  const std::string problem = left_behind(before);
  return problem.empty() ? problem : problem + " after " + std::to_string(times) + " stages";
}

std::string comes_and_goes(const Subject& subject) {
  return leaves_nothing(subject, 20, [](Harness&) { return std::string{}; });
}

Volume volume_of(const std::vector<Emitted>& all) {
  Volume sum;
  for (const auto& each : all) sum += each.batch.volume();
  return sum;
}

std::string text_of(const Volume& volume) {
  return std::to_string(volume.packets) + " packets, " + std::to_string(volume.bytes) + " bytes";
}

// What holds for everything that a source or aggregator puts out.
std::string check_emitted(const std::vector<Emitted>& all, RecordKind kind) {
  TimeNs watermark = 0;
  for (const auto& [batch, tickets] : all) {
    if (batch.watermark < watermark)
      return "the watermark goes back from " + std::to_string(watermark) + " to " + std::to_string(batch.watermark);
    watermark = batch.watermark;
    for (const auto& record : batch) {
      if (record.first_seen > record.last_seen && record.packets != 0) return "a record ends before it begins";
      if (record.cumulative != (kind == RecordKind::cumulative)) return "a record is of another kind than emits() says";
    }
  }
  return {};
}

RecordKind kind_of(const Subject& subject) {
  auto config = parse_config(subject.config);
  return config.ok() ? subject.type.emits(*config) : RecordKind::delta;
}

// ---- sources

Result<void> run_source(Harness& harness) {
  return harness.run({.stop_after = 3s, .give_up = 5s});
}

std::string source_runs_and_stops(const Subject& subject) {
  auto harness = make(subject);
  const auto result = run_source(*harness);
  if (!result.ok()) return "run: " + result.error().message;
  if (harness->acknowledged() != harness->emitted().size()) return "a batch came after the end";
  return check_emitted(harness->emitted(), kind_of(subject));
}

std::string source_gives_up(const Subject& subject) {
  return on_new(subject, [](Harness& harness) -> std::string {
    const auto began = std::chrono::steady_clock::now();
    static_cast<void>(harness.run({.stop_after = 0s, .give_up = 0ms}));
    return std::chrono::steady_clock::now() - began > 5s ? "run() goes on for seconds after the run was abandoned" : "";
  });
}

std::string source_leaves_nothing(const Subject& subject) {
  return leaves_nothing(subject, 2, [](Harness& harness) {
    const auto result = run_source(harness);
    return result.ok() ? std::string{} : "run: " + result.error().message;
  });
}

// ---- enrichers

std::string enrich_all(Harness& harness) {
  for (const auto& original : sample_stream(harness.context(), 50, 20)) {
    Batch batch = original;
    const auto began = std::chrono::steady_clock::now();
    if (auto result = harness.enrich(batch); !result.ok()) return "enrich: " + result.error().message;
    if (std::chrono::steady_clock::now() - began > 1s) return "enrich() blocks";
    if (batch.watermark != original.watermark || !(batch.window == original.window))
      return "watermark or window is changed";
    const Volume before = original.volume(), after = batch.volume();
    if (after.packets > before.packets || after.bytes > before.bytes)
      return "there is more than was given: " + text_of(after);
    if (batch.size() == original.size() && !(before == after)) return "counters are changed";
    harness.advance(1s);
  }
  return {};
}

std::string enricher_keeps_what_is_not_its_own(const Subject& subject) {
  return on_new(subject, &enrich_all);
}
std::string enricher_leaves_nothing(const Subject& subject) {
  return leaves_nothing(subject, 2, &enrich_all);
}

// ---- aggregators

std::string add_all(Harness& harness, const std::vector<Batch>& stream, bool without_room) {
  for (const auto& batch : stream) {
    if (without_room) harness.set_room(false);
    if (auto result = harness.add(batch); !result.ok()) return "add: " + result.error().message;
    if (without_room) harness.set_room(true);  // resume()
    harness.advance(1s);
  }
  return {};
}

std::string aggregate(const Subject& subject, bool without_room) {
  auto harness = make(subject);
  const auto stream = sample_stream(harness->context(), 200, 20);
  if (auto problem = add_all(*harness, stream, without_room); !problem.empty()) return problem;
  Volume given;
  for (const auto& batch : stream) given += batch.volume();
  const Volume made = volume_of(harness->emitted());
  if (!(given == made)) return "given " + text_of(given) + ", put out " + text_of(made);
  if (harness->emitted().empty() || harness->emitted().back().batch.watermark != kEndOfInput)
    return "the last batch does not end the input";
  return check_emitted(harness->emitted(), kind_of(subject));
}

std::string aggregator_keeps_the_sum(const Subject& subject) {
  return aggregate(subject, false);
}
std::string aggregator_resumes(const Subject& subject) {
  return aggregate(subject, true);
}

std::string aggregator_ties_inputs(const Subject& subject) {
  auto harness = make(subject);
  const auto stream = sample_stream(harness->context(), 100, 20);
  if (auto problem = add_all(*harness, stream, false); !problem.empty()) return problem;
  for (const auto& each : harness->emitted()) {
    for (const auto& ticket : each.tickets) ticket.worsen(Outcome::lost);
  }
  harness->take();
  if (harness->pending_tickets() != 0) return std::to_string(harness->pending_tickets()) + " inputs are never complete";
  const auto with_records =
      std::count_if(stream.begin(), stream.end(), [](const Batch& batch) { return !batch.empty(); });
  const auto outcomes = harness->outcomes();
  const auto lost = std::count(outcomes.begin(), outcomes.end(), Outcome::lost);
  if (lost >= with_records) return {};
  return std::to_string(with_records - lost) + " of " + std::to_string(with_records) +
         " inputs are not tied to what came of them";
}

std::string aggregator_lets_go(const Subject& subject) {
  return on_new(subject, [](Harness& harness) -> std::string {
    auto stream = sample_stream(harness.context(), 10, 20);
    stream.pop_back();
    if (auto problem = add_all(harness, stream, false); !problem.empty()) return problem;
    harness.take();
    harness.destroy();
    return harness.pending_tickets() == 0 ? "" : "inputs stay open when the stage is destroyed";
  });
}

std::string aggregator_leaves_nothing(const Subject& subject) {
  return leaves_nothing(
      subject, 2, [](Harness& harness) { return add_all(harness, sample_stream(harness.context(), 20, 20), false); });
}

// ---- sinks

// A sink may ask for a batch again; it must take it in the end.
std::string write_one(Harness& harness, const Batch& batch) {
  Result<void> result;
  for (int i = 0; i < 5; ++i) {
    result = harness.write(batch);
    if (result.ok()) return {};
    if (result.error().disposition == Disposition::gone)
      return "its other end is gone, run it against something that takes batches: " + result.error().message;
    if (result.error().disposition != Disposition::retry) break;
    harness.advance(10s);
  }
  return "write: " + result.error().message;
}

std::string write_all(Harness& harness, std::size_t batches) {
  for (auto& batch : sample_stream(harness.context(), batches, 20)) {
    const TimeNs minute = 60'000'000'000;
    if (!batch.empty()) batch.window = {batch.watermark / minute * minute, (batch.watermark / minute + 1) * minute};
    if (auto problem = write_one(harness, batch); !problem.empty()) return problem;
    harness.advance(1s);
  }
  return {};
}

std::string write_and_close(Harness& harness) {
  if (auto problem = write_all(harness, 50); !problem.empty()) return problem;
  const auto closed = harness.close();
  return closed.ok() ? std::string{} : "close: " + closed.error().message;
}

std::string sink_takes_batches(const Subject& subject) {
  return on_new(subject, &write_and_close);
}
std::string sink_closes_empty(const Subject& subject) {
  return on_new(subject, [](Harness& harness) {
    const auto closed = harness.close();
    return closed.ok() ? std::string{} : "close: " + closed.error().message;
  });
}
std::string sink_closes_twice(const Subject& subject) {
  return on_new(subject, [](Harness& harness) {
    auto problem = write_and_close(harness);
    static_cast<void>(harness.close());  // may fail, must not crash
    return problem;
  });
}
std::string sink_goes_unclosed(const Subject& subject) {
  return on_new(subject, [](Harness& harness) { return write_all(harness, 5); });
}
std::string sink_leaves_nothing(const Subject& subject) {
  return leaves_nothing(subject, 2, &write_and_close);
}

}  // namespace

std::vector<Check> running_checks(StageKind kind) {
  std::vector<Check> checks{{"comes and goes 20 times, leaving nothing", &comes_and_goes}};
  const auto add = [&checks](std::initializer_list<Check> more) { checks.insert(checks.end(), more); };
  switch (kind) {
    case StageKind::source:
      add({{"runs and stops when asked", &source_runs_and_stops},
           {"gives up when abandoned", &source_gives_up},
           {"leaves no thread or descriptor", &source_leaves_nothing}});
      break;
    case StageKind::enricher:
      add({{"keeps what is not its own", &enricher_keeps_what_is_not_its_own},
           {"leaves no thread or descriptor", &enricher_leaves_nothing}});
      break;
    case StageKind::aggregator:
      add({{"puts out what it was given, late records too", &aggregator_keeps_the_sum},
           {"resumes where it stopped for want of room", &aggregator_resumes},
           {"ties every input to what came of it", &aggregator_ties_inputs},
           {"lets go of its inputs when destroyed", &aggregator_lets_go},
           {"leaves no thread or descriptor", &aggregator_leaves_nothing}});
      break;
    case StageKind::sink:
    case StageKind::async_sink:
      add({{"takes batches, empty ones and the last too", &sink_takes_batches},
           {"closes without a batch", &sink_closes_empty},
           {"survives a second close", &sink_closes_twice},
           {"can be destroyed unclosed", &sink_goes_unclosed},
           {"leaves no thread or descriptor", &sink_leaves_nothing}});
      break;
  }
  return checks;
}

}  // namespace fffa::testing
