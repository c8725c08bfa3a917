// SPDX-License-Identifier: MIT
// A message's headers. librdkafka allocates each by itself, and to make them costs as much as all the rest that it does
// for a message: those that come back with a report are used for the next one, with its sequence written over theirs.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "config.h"
#include "fffa/record.h"
#include "fffa/text.h"
#include "producer.h"

namespace fffa::kafka {

// Those of a message that was reported, or was not taken.
struct KeptHeaders {
  HeadersPtr headers;
  char* sequence = nullptr;  // its place in them; nullptr: they have none
  std::uint8_t digits = 0;   // of it
  bool reusable = false;     // they say nothing but what is here
  Text host{}, run_id{};

  // Fetches what make() and then librdkafka touch: its other thread had it.
  void prefetch() const noexcept;
};

class HeaderMaker {
 public:
  HeaderMaker(const std::vector<Header>& wanted, std::string_view schema, const TextTable& texts);

  // Of what was kept, where that is possible; nullptr where no header is wanted.
  HeadersPtr make(const FlowRecord& record, KeptHeaders& kept) const;
  // `topic`: that did not take the record, or nullptr; `error`: why.
  HeadersPtr make_dead_letter(const FlowRecord& record, KeptHeaders& kept, const char* topic, const char* error) const;

 private:
  std::vector<Header> wanted_;  // each once
  std::string_view schema_;
  const TextTable& texts_;

  HeadersPtr make_anew(const FlowRecord& record) const;
};

}  // namespace fffa::kafka
