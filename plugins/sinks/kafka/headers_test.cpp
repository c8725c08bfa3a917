// SPDX-License-Identifier: MIT
#include "headers.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace fffa::kafka {
namespace {

std::string text_of(const HeadersPtr& headers) {
  std::string all;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers.get(), i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i)
    all += std::string(name) + "=" + std::string(static_cast<const char*>(value), size) + " ";
  return all;
}

class Headers : public ::testing::Test {
 protected:
  TextTable texts_;
  KeptHeaders kept_;

  FlowRecord record(const char* host, std::uint64_t sequence) {
    FlowRecord record;
    record.host = texts_.intern(host);
    record.run_id = texts_.intern("run");
    record.sequence = sequence;
    return record;
  }
  // As a message with them would come back; what they were, and whether they were made anew.
  std::pair<std::string, bool> send(const HeaderMaker& maker, const FlowRecord& record) {
    const auto* const before = kept_.headers.get();
    auto headers = maker.make(record, kept_);
    const bool anew = headers.get() != before;
    kept_.headers = std::move(headers);
    return {text_of(kept_.headers), anew};
  }
};

using Sent = std::pair<std::string, bool>;
constexpr bool kAnew = true;

TEST_F(Headers, AreUsedAgainWithAnotherSequence) {
  const HeaderMaker maker({Header::host, Header::run_id, Header::sequence, Header::schema}, "s", texts_);
  EXPECT_EQ(send(maker, record("a", 8)), Sent("host=a run_id=run sequence=8 schema=s ", kAnew));
  EXPECT_EQ(send(maker, record("a", 9)), Sent("host=a run_id=run sequence=9 schema=s ", !kAnew));
  EXPECT_EQ(send(maker, record("a", 10)), Sent("host=a run_id=run sequence=10 schema=s ", kAnew));
  EXPECT_EQ(send(maker, record("a", 7)), Sent("host=a run_id=run sequence=7 schema=s ", kAnew));
}

TEST_F(Headers, AreMadeAnewForAnotherHost) {
  const HeaderMaker maker({Header::host}, "s", texts_);
  EXPECT_EQ(send(maker, record("a", 1)), Sent("host=a ", kAnew));
  EXPECT_EQ(send(maker, record("a", 22)), Sent("host=a ", !kAnew));
  EXPECT_EQ(send(maker, record("b", 22)), Sent("host=b ", kAnew));
}

TEST_F(Headers, OfADeadLetterServeNoOther) {
  const HeaderMaker maker({Header::sequence}, "s", texts_);
  send(maker, record("a", 1));
  kept_.headers = maker.make_dead_letter(record("a", 1), kept_, "flows", "why");
  EXPECT_EQ(text_of(kept_.headers), "sequence=1 topic=flows error=why ");
  EXPECT_EQ(send(maker, record("a", 2)), Sent("sequence=2 ", kAnew));
}

TEST_F(Headers, NamedTwiceAreThereOnce) {
  const HeaderMaker maker({Header::sequence, Header::sequence}, "s", texts_);
  send(maker, record("a", 1));
  EXPECT_EQ(send(maker, record("a", 2)), Sent("sequence=2 ", !kAnew));
}

TEST_F(Headers, NoneAreWanted) {
  EXPECT_EQ(HeaderMaker({}, "s", texts_).make(record("a", 1), kept_), nullptr);
}

}  // namespace
}  // namespace fffa::kafka
