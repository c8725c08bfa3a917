// SPDX-License-Identifier: MIT
// Enrichers and aggregators: nodes that run on strands of the pool.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "node.h"

namespace fffa::core {

class StrandNode : public Node {
 public:
  StrandNode(StageSpec spec, std::shared_ptr<Services> services);
  void open() override;
  void wake() override;

 protected:
  // One piece of work; false: there is none, or an output has no room. Under the gate.
  virtual bool advance() = 0;

 private:
  std::shared_ptr<Strand> strand_;
  std::atomic<bool> open_{false};
  std::atomic<bool> scheduled_{false};

  void step();
};

// A batch whose enrichment fails goes on as the enricher left it. After kMostErrors errors in a row the enricher is
// left out, and tried again with one batch after a pause.
class EnricherNode final : public StrandNode {
 public:
  using StrandNode::StrandNode;
  static constexpr int kMostErrors = 10;

 private:
  int errors_in_a_row_ = 0;
  Monotonic::time_point next_try_{};

  bool advance() override;
  void enrich(Message& message);
  void note(const Result<void>& result);
};

// A batch that the aggregator fails on is lost, and counted; the aggregator goes on.
class AggregatorNode final : public StrandNode, private Emitter {
 public:
  using StrandNode::StrandNode;
  Tally held() const override;
  // Makes the stage put everything out, as at the end of input, without ending what comes after it. Under the gate, the
  // graph draining.
  void flush();

 private:
  Level accepted_;  // by the stage; what it has not put out again is its state
  TimeNs out_watermark_ = 0;
  mutable bool refused_ = false;  // room() said no in this call
  bool resume_pending_ = false;   // counts as pending
  bool ending_ = false;

  bool advance() override;
  void add(Message message);
  void after_call();
  void failed(const char* what, const Error& error, const Tally& lost_here);
  Tally state() const;
  void emit(Batch batch, std::vector<Ticket> tickets) override;
  bool room() const override;
};

}  // namespace fffa::core
