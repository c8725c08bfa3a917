// SPDX-License-Identifier: MIT
// The encoder against protoc's decoder, and proto/flow.proto against the field table.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "../../../tests/bench/formats/sample.h"
#include "fffa/fields.h"
#include "fffa/format.h"

namespace fffa {
namespace {

using Json = nlohmann::ordered_json;

const std::string kProto = FFFA_PROTO_FOLDER "/flow.proto";

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// FFFA_WRITE_PROTO=1 writes the file anew.
TEST(Protobuf, TheProtoFileIsTheFieldTable) {
  if (std::getenv("FFFA_WRITE_PROTO") != nullptr) std::ofstream(kProto) << protobuf_schema();
  EXPECT_EQ(read(kProto), protobuf_schema()) << "FFFA_WRITE_PROTO=1 "
                                             << "sdk_test writes it anew";
}

std::string encoded(const TextTable& texts, const FlowRecord& record) {
  std::string out;
  make_protobuf_format(texts)->append(record, out);
  return out;
}

// `name: value` a line, as protoc prints a message; labels as `labels.KEY`.
std::map<std::string, std::string> decoded(const std::string& message) {
  const auto file = std::filesystem::temp_directory_path() / ("fffa-protobuf-" + std::to_string(::getpid()));
  std::ofstream(file, std::ios::binary) << message;
  const std::string command =
      "protoc --decode=fffa.v3.Flow -I " FFFA_PROTO_FOLDER " " + kProto + " <" + file.string() + " 2>&1";
  std::map<std::string, std::string> values;
  FILE* const pipe = ::popen(command.c_str(), "r");
  std::string key;
  for (char line[4096]; std::fgets(line, sizeof line, pipe) != nullptr;) {
    std::istringstream in(line);
    std::string name, value;
    in >> name;
    std::getline(in >> std::ws, value);
    if (name == "key:") key = value;
    if (name == "value:") values["labels." + key] = value;
    if (name != "key:" && name != "value:" && name.back() == ':') values[name.substr(0, name.size() - 1)] = value;
    if (name.find("rror") != std::string::npos || name == "Failed") ADD_FAILURE() << line;
  }
  EXPECT_EQ(::pclose(pipe), 0);
  std::filesystem::remove(file);
  return values;
}

// The octets of an address as protoc escapes them.
std::string escaped(const Address& address, std::size_t size) {
  std::string text = "\"";
  for (std::size_t i = 0; i < size; ++i) {
    const unsigned char c = address[i];
    char octal[8];
    if (c == '\n')
      text += "\\n";
    else if (c == '\r')
      text += "\\r";
    else if (c == '\t')
      text += "\\t";
    else if (c == '"' || c == '\'' || c == '\\')
      (text += '\\') += static_cast<char>(c);
    else if (c >= 0x20 && c < 0x7f)
      text += static_cast<char>(c);
    else
      std::snprintf(octal, sizeof octal, "\\%03o", c), text += octal;
  }
  return text + "\"";
}

std::string expected(const Field& field, const FlowRecord& record, const Json& json) {
  const Value value = field.get(record);
  switch (value.kind) {
    case Value::Kind::boolean: return value.number != 0 ? "true" : "false";
    case Value::Kind::number:
    case Value::Kind::time: return std::to_string(value.number);
    case Value::Kind::signed_number: return std::to_string(static_cast<std::int64_t>(value.number));
    case Value::Kind::address: return escaped(*value.address, value.family == 4 ? 4 : 16);
    default: return json.at(std::string(field.name)).dump();
  }
}

// protoc's text has every value that is not null, and no other.
void expect_same(const TextTable& texts, const FlowRecord& record) {
  std::string line;
  make_json_format(texts)->append(record, line);
  const auto json = Json::parse(line);
  const auto values = decoded(encoded(texts, record));
  std::size_t there = 0;
  for (const auto& field : fields()) {
    const std::string name(field.name);
    if (name == "labels") continue;
    if (json.at(name).is_null()) {
      EXPECT_FALSE(values.contains(name)) << name;
      continue;
    }
    ++there;
    ASSERT_TRUE(values.contains(name)) << name;
    EXPECT_EQ(values.at(name), expected(field, record, json)) << name;
  }
  const Json labels = json.value("labels", Json::object());
  for (const auto& [name, value] : labels.items()) {
    ++there;
    EXPECT_EQ(values.at("labels.\"" + name + "\""), value.dump());
  }
  EXPECT_EQ(values.size(), there);
}

TEST(Protobuf, ProtocReadsWhatJsonSays) {
  TextTable texts;
  for (const bool v6 : {false, true}) {
    auto record = bench::sample(texts, 3, v6);
    record.netfilter_priority = -150;
    record.set_label(texts.intern("team"), texts.intern("core"));
    record.set_label(texts.intern("city"), texts.intern("Z\xc3\xbcrich"));
    record.encapsulation = Encapsulation::geneve;
    record.outer = {{10, 0, 0, 1}, {10, 0, 0, 2}, 60'000, 6081, 17, 4};
    record.gwlb_endpoint_id = 0xfedcba9876543210;
    record.set(Has::gwlb_endpoint);
    record.packets = ~std::uint64_t{0};
    record.labels[1].value = texts.intern("plain");
    expect_same(texts, record);
  }
  expect_same(texts, bench::sample(texts, 4, false));
}

TEST(Protobuf, NullIsLeftOutAndZeroIsThere) {
  TextTable texts;
  FlowRecord record;
  record.flow = {{192, 0, 2, 1}, {198, 51, 100, 7}, 0, 0, 47, 4};
  const auto values = decoded(encoded(texts, record));
  EXPECT_EQ(values.at("packets"), "0");
  EXPECT_EQ(values.at("proto"), "\"PROTO_47\"");
  EXPECT_FALSE(values.contains("tcp_flags"));
  EXPECT_FALSE(values.contains("host"));
}

TEST(Protobuf, TextsOfAnyLengthAndContentAreUtf8) {
  TextTable texts;
  FlowRecord record;
  record.netfilter_match_info = texts.intern(std::string(100'000, 'x') + "\xff");
  record.set_label(texts.intern("bad\x80"), texts.intern(std::string(300, 'y')));
  const auto message = encoded(texts, record);
  EXPECT_NE(message.find("x\xEF\xBF\xBD"), std::string::npos);
  EXPECT_NE(message.find("bad\xEF\xBF\xBD"), std::string::npos);
  EXPECT_EQ(message.find('\xff'), std::string::npos);
}

}  // namespace
}  // namespace fffa
