// SPDX-License-Identifier: MIT
#include "headers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "fffa_kafka/client.h"

namespace fffa::kafka {
namespace {

constexpr const char* kSequence = "sequence";

class Digits {
 public:
  explicit Digits(std::uint64_t number) : end_(std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr) {}
  Digits(const Digits&) = delete;
  Digits& operator=(const Digits&) = delete;
  std::string_view view() const { return {text_.data(), static_cast<std::size_t>(end_ - text_.data())}; }

 private:
  std::array<char, 20> text_;
  const char* end_;
};

}  // namespace

void KeptHeaders::prefetch() const noexcept {
  constexpr int kToBeWritten = 1;
  __builtin_prefetch(headers.get());
  __builtin_prefetch(sequence, kToBeWritten);
}

HeaderMaker::HeaderMaker(const std::vector<Header>& wanted, std::string_view schema, const TextTable& texts)
    : schema_(schema), texts_(texts) {
  for (const auto header : wanted) {
    if (std::ranges::find(wanted_, header) == wanted_.end()) wanted_.push_back(header);
  }
}

HeadersPtr HeaderMaker::make_anew(const FlowRecord& record) const {
  HeadersPtr headers(rd_kafka_headers_new(wanted_.size()));
  for (const auto header : wanted_) {
    switch (header) {
      case Header::host: add_header(headers.get(), "host", texts_.view(record.host)); break;
      case Header::run_id: add_header(headers.get(), "run_id", texts_.view(record.run_id)); break;
      case Header::sequence: add_header(headers.get(), kSequence, Digits(record.sequence).view()); break;
      case Header::schema: add_header(headers.get(), "schema", schema_); break;
    }
  }
  return headers;
}

HeadersPtr HeaderMaker::make(const FlowRecord& record, KeptHeaders& kept) const {
  if (wanted_.empty()) return nullptr;
  const Digits digits(record.sequence);
  if (kept.headers != nullptr && kept.reusable && kept.host == record.host && kept.run_id == record.run_id &&
      (kept.sequence == nullptr || kept.digits == digits.view().size())) {
    if (kept.sequence != nullptr) std::memcpy(kept.sequence, digits.view().data(), kept.digits);
    return std::move(kept.headers);
  }
  auto headers = make_anew(record);
  const void* place = nullptr;
  std::size_t size = 0;
  if (rd_kafka_header_get_last(headers.get(), kSequence, &place, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) size = 0;
  // librdkafka hands it out to be read; but it is ours, and as long as before.
  kept = {
      nullptr,      static_cast<char*>(const_cast<void*>(place)), static_cast<std::uint8_t>(size), true, record.host,
      record.run_id};
  return headers;
}

HeadersPtr HeaderMaker::make_dead_letter(const FlowRecord& record, KeptHeaders& kept, const char* topic,
                                         const char* error) const {
  auto headers = make_anew(record);
  if (topic != nullptr) add_header(headers.get(), "topic", topic);
  add_header(headers.get(), "error", error);
  kept = {};
  return headers;
}

}  // namespace fffa::kafka
