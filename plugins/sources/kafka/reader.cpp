// SPDX-License-Identifier: MIT
#include "reader.h"

#include <utility>

#include "fffa_json/json_parser.h"

namespace fffa::kafka_source {
namespace {

// A record with every field and label takes a few thousand bytes.
constexpr std::size_t kMostBytes = 65536;
constexpr std::string_view kJson = "fffa.v3.Flow+json", kProtobuf = "fffa.v3.Flow+protobuf";

}  // namespace

Reader::Reader(Format format, TextTable& texts)
    : format_(format), json_(make_json_parser(texts)), protobuf_(make_protobuf_parser(texts)) {}

const FlowRecord* Reader::refuse(Malformed reason, std::string text) {
  why_ = {reason, std::move(text)};
  return nullptr;
}

const FlowRecord* Reader::read(std::string_view bytes, std::optional<std::string_view> schema) {
  if (bytes.size() > kMostBytes)
    return refuse(Malformed::too_large, std::to_string(bytes.size()) + " bytes, at most 65536 are read");
  auto format = format_;
  if (schema == kJson) format = Format::json;
  if (schema == kProtobuf) format = Format::protobuf;
  const bool other = schema && schema != kJson && schema != kProtobuf;
  if (other || format == Format::automatic || (format_ != Format::automatic && format != format_))
    return refuse(Malformed::schema, schema ? "header `schema` names another one" : "there is no header `schema`");
  auto parsed = (format == Format::json ? *json_ : *protobuf_).parse(bytes);
  if (!parsed) return refuse(Malformed::syntax, parsed.error().message);
  record_ = *parsed;
  // Records of one flow merge by host: without one, those of different hosts would.
  if (record_.host == Text::null) return refuse(Malformed::no_host, "`host` is missing");
  if (record_.cumulative) return refuse(Malformed::cumulative, "its packets are in earlier records too");
  return &record_;
}

}  // namespace fffa::kafka_source
