// SPDX-License-Identifier: MIT
// bench_formats [SECONDS]: records per second and core of each output format, and of reading them back; every field
// set, half of the records IPv6.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "fffa/fields.h"
#include "fffa/format.h"
#include "fffa_json/json_parser.h"
#include "sample.h"

namespace {

// CPU time: other programs on the machine do not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// `round` works on `records` records and returns how many bytes they are.
template <typename Round>
void measure(const char* name, std::size_t records, double seconds, Round&& round) {
  std::size_t rounds = 0, bytes = 0;
  const double start = cpu_seconds();
  double spent = 0;
  do {
    bytes += round();
    ++rounds;
    spent = cpu_seconds() - start;
  } while (spent < seconds);
  const double count = static_cast<double>(rounds * records);
  std::printf("%-24s %8.3f M records/s %8.1f ns/record %8.0f bytes/record %8.0f MB/s\n", name, count / spent / 1e6,
              spent / count * 1e9, static_cast<double>(bytes) / count, static_cast<double>(bytes) / spent / 1e6);
}

void measure(const char* name, fffa::RecordFormat& format, const std::vector<fffa::FlowRecord>& records,
             double seconds) {
  std::string out;
  measure(name, records.size(), seconds, [&] {
    out.clear();
    for (const auto& record : records) format.append(record, out);
    return out.size();
  });
}

void measure_parser(const char* name, fffa::RecordFormat& format, fffa::RecordParser& parser,
                    const std::vector<fffa::FlowRecord>& records, double seconds) {
  std::vector<std::string> texts(records.size());
  for (std::size_t i = 0; i < records.size(); ++i) format.append(records[i], texts[i]);
  measure(name, records.size(), seconds, [&] {
    std::size_t bytes = 0;
    for (const auto& text : texts) {
      if (!parser.parse(text)) std::abort();
      bytes += text.size();
    }
    return bytes;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  fffa::TextTable texts;
  auto records = fffa::bench::samples(texts, 1024);
  std::printf("sizeof(FlowRecord) %zu, %zu fields\n", sizeof(fffa::FlowRecord), fffa::fields().size());
  auto json = fffa::make_json_format(texts);
  measure("json, all fields", *json, records, seconds);
  measure("ecs, all fields", *fffa::make_ecs_format(texts), records, seconds);
  auto protobuf = fffa::make_protobuf_format(texts);
  measure("protobuf, all fields", *protobuf, records, seconds);
  measure_parser("json, read", *json, *fffa::make_json_parser(texts), records, seconds);
  measure_parser("protobuf, read", *protobuf, *fffa::make_protobuf_parser(texts), records, seconds);
  const auto vpc = [&](const char* name, const char* log_format) {
    auto format = fffa::make_vpc_format(texts, {std::string(log_format), {}, {}, {}});
    if (!format) {
      std::fprintf(stderr, "%s\n", format.error().message.c_str());
      std::exit(1);
    }
    measure(name, **format, records, seconds);
  };
  for (auto& record : records) record.present &= ~static_cast<std::uint32_t>(fffa::Has::refused);
  vpc("vpc, default v2", std::string(fffa::kVpcDefaultFormat).c_str());
  vpc("vpc, every v5 field",
      "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} "
      "${bytes} ${start} ${end} "
      "${action} ${log-status} ${vpc-id} ${subnet-id} ${instance-id} ${tcp-flags} ${type} ${pkt-srcaddr} "
      "${pkt-dstaddr} ${region} ${az-id} "
      "${sublocation-type} ${sublocation-id} ${pkt-src-aws-service} ${pkt-dst-aws-service} ${flow-direction} "
      "${traffic-path}");
  return 0;
}
