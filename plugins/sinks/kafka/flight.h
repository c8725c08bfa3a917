// SPDX-License-Identifier: MIT
// A batch between write() and the last delivery report of its records.
#pragma once

#include <librdkafka/rdkafka.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/batch.h"
#include "fffa/stage.h"
#include "fffa_common/batch_mark.h"
#include "headers.h"

namespace fffa::kafka {

struct Flight;

// How a record is on its way. Each step is taken once, when the one before has failed.
enum class Way : std::uint8_t {
  together,     // as librdkafka puts records together
  alone,        // in a request of its own: it was refused for the size of what it was together with, or for its own
  dead_letter,  // to the other topic
};

struct Slot {  // a record's place
  static constexpr rd_kafka_resp_err_t kUnsent = RD_KAFKA_RESP_ERR__STATE;

  Flight* flight = nullptr;
  std::size_t offset = 0;  // of its payload in the flight's text, which its key follows
  rd_kafka_topic_t* topic = nullptr;
  std::uint32_t size = 0;
  std::uint32_t record = 0;  // in the batch
  KeptHeaders kept;          // of the message before, of another batch perhaps
  // NO_ERROR: delivered, here or to the dead-letter topic.
  rd_kafka_resp_err_t error = kUnsent;
  rd_kafka_resp_err_t refusal = RD_KAFKA_RESP_ERR_NO_ERROR;  // why it went another way
  std::uint8_t key_size = 0;
  Way way = Way::together;
  bool counted = false;  // as refused

  // For a record of another batch.
  void renew() {
    error = kUnsent;
    counted = false;
  }
};

// Created and found under the sink's lock; while `open` is above 0 its slots belong to the reports, then to whoever
// brought it to 0.
struct Flight {
  std::shared_ptr<const Batch> batch;  // while it is in the air
  const Batch* identity = nullptr;     // the host offers a batch again as the same object
  std::optional<common::BatchMark> mark;
  std::vector<Slot> slots;
  std::string text;                      // payloads, each with its key behind it
  std::atomic<std::size_t> open{0};      // reports to come, and one while they are being sent
  std::optional<Completion> completion;  // none: the host was told to ask again
  bool landed = false;                   // all reports are there
  Result<void> outcome;                  // of a flight that has landed

  bool is(const Batch& other) const { return identity == &other && mark == common::BatchMark(other); }
};

}  // namespace fffa::kafka
