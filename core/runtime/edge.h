// SPDX-License-Identifier: MIT
// Edge: one input of a node, and the batches on their way through it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "ack.h"
#include "batch_ref.h"
#include "graph/pipeline.h"
#include "services.h"

namespace fffa::core {

class Node;

// Belongs to the consumer, whose inbox lock guards `from` and the input's state. `queued` is read by the producer.
struct EdgeState {
  EdgeState(OnFull full, std::size_t room, std::string producer, FilterPtr filter = {})
      : on_full(full), capacity(room), from_id(std::move(producer)), when(std::move(filter)) {}
  const OnFull on_full;
  const std::size_t capacity;          // records
  std::atomic<std::size_t> queued{0};  // records; an empty batch counts as one
  const std::string from_id;
  const FilterPtr when;  // what it refuses does not get into the queue
  std::weak_ptr<Node> from;
  bool detached = false;  // a reload took it out of the graph; what is queued still arrives

  // --- the input as the consumer knows it
  TimeNs watermark = 0;
  Monotonic::time_point last = Monotonic::now();  // of a batch
  bool ended = false;

  bool full() const noexcept { return queued.load() >= capacity; }
};
using EdgePtr = std::shared_ptr<EdgeState>;

struct Message {
  EdgePtr edge;
  BatchRef batch;
  AckPtr ack;  // null: nobody waits for it
  std::size_t cost = 1;
  Tally tally;  // of the batch when it was taken
};

// Fan-in: `input` brought `watermark`. The watermark of all inputs together: the least of those that are neither ended
// nor silent (nothing came for `silent`, nothing is queued), never less than `before`; kEndOfInput once all have ended.
TimeNs merge_watermark(const std::vector<EdgePtr>& inputs, EdgeState& input, TimeNs watermark, TimeNs before,
                       Monotonic::time_point now, std::chrono::nanoseconds silent);

}  // namespace fffa::core
