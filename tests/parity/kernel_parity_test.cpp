// SPDX-License-Identifier: MIT
// One truth: the kernel programs, given a capture packet by packet with the capture's time, report the very records
// that source pcap makes of the file, in every field, at the same read-outs. Needs root.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>

#include "fffa_engine/records.h"
#include "kernel.h"
#include "source_run.h"

namespace fffa::parity {
namespace {

constexpr TimeNs kDrainInterval = 5'000'000'000;

// What cannot be handed over as the file has it: all there is, by capture.
struct Exception {
  Changes xdp;  // ingress at XDP, which takes frames of more than a page
  Changes tc;
  const char* why;
};
Exception at_both(const Changes& changes, const char* why) {
  return {changes, changes, why};
}
const std::map<std::string, Exception>& exceptions() {
  static const std::map<std::string, Exception> all = {
      {"geneve_outer6_gso.pcap", at_both({.too_long = 1}, "a super-packet of 6946 bytes, at egress")},
      {"geneve_truncated.pcapng", at_both({.cut = 1}, "snapped within the GENEVE header")},
      {"ip6_atomic_fragment_http.pcap", at_both({.moved = 3}, "stamped out of order")},
      {"link_many_interfaces.pcapng", at_both({.moved = 2}, "stamped out of order")},
      {"link_null_ecn.pcap", at_both({.too_long = 1}, "loopback: a packet of 14241 bytes, at egress")},
      {"malformed_first_fragment.pcap", at_both({.too_long = 1}, "claims to have had 262144 bytes")},
      {"malformed_kday4.pcap", at_both({.moved = 9}, "stamped out of order")},
      {"snap46_derived.pcap", at_both({.padded = 7, .cut = 118}, "snapped to 46 bytes: TCP headers are cut off")},
      {"snap_truncated_tcp_header.pcap", at_both({.padded = 24}, "snapped, behind the headers")},
      {"tcp_fast009_snapped.pcap", at_both({.padded = 21}, "snapped, behind the headers")},
      {"tcp_ssh_many_flows.pcap", {{}, {.too_long = 80}, "super-packets at ingress"}},
      {"tcp_tls_syn_retries.pcap", at_both({.padded = 8, .moved = 82}, "snapped behind the headers, out of order")},
      {"tcp_tor_reordering.pcap", at_both({.moved = 1}, "stamped out of order")},
      {"vxlan_http.pcap", at_both({.too_long = 1}, "a frame of 9100 bytes, at egress")},
  };
  return all;
}

using Param = std::tuple<std::filesystem::path, Hook>;

class KernelParity : public ::testing::TestWithParam<Param> {
 protected:
  const std::filesystem::path& file() const { return std::get<0>(GetParam()); }
  Hook hook() const { return std::get<1>(GetParam()); }

  Changes expected_changes() const {
    const auto found = exceptions().find(file().filename().string());
    if (found == exceptions().end()) return {};
    return hook() == Hook::xdp ? found->second.xdp : found->second.tc;
  }

  // The source, over the same packets.
  SourceRun source(const Capture& capture) const {
    if (capture.file.empty()) return run_source(file());
    const std::string path = ::testing::TempDir() + "parity." + std::to_string(::getpid()) + ".pcapng";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(capture.file.data()), static_cast<std::streamsize>(capture.file.size()));
    SourceRun run = run_source(path);
    std::filesystem::remove(path);
    return run;
  }
};

std::optional<Direction> direction_of(const pcap::Path& path) {
  if (path.kind == pcap::Path::directed) return std::nullopt;
  if (path.way == pcap::Way::unknown) return Direction::unknown;
  return path.way == pcap::Way::in ? Direction::ingress : Direction::egress;
}

std::vector<engine::Origin> origins(const Capture& capture, TextTable& texts, Text host) {
  std::vector<engine::Origin> made;
  for (std::uint32_t number = 1; number <= capture.paths.size(); ++number) {
    const auto& path = capture.paths[number];
    const Text interface = texts.intern(capture.interfaces[path.interface].name);
    made.push_back({host, interface, path.ifindex, direction_of(path)});
  }
  return made;
}

std::vector<FlowRecord> run_kernel(const Capture& capture, Hook hook, const std::vector<engine::Origin>& from) {
  auto& kernel = Kernel::get();
  std::vector<FlowRecord> records;
  const auto read_out = [&] {
    for (const auto& record : kernel.read_out())
      engine::append_records(record, from.at(record.key.ifindex - 1), 0, records);
  };
  TimeNs edge = 0;
  for (const auto& packet : capture.packets) {
    if (packet.time >= edge) {
      if (edge != 0) read_out();
      edge = (packet.time / kDrainInterval + 1) * kDrainInterval;
    }
    kernel.run(hook, packet);
  }
  read_out();
  kernel.forget_all();
  return records;
}

std::vector<std::string> sorted(const std::vector<FlowRecord>& records) {
  std::vector<std::string> lines;
  lines.reserve(records.size());
  for (const auto& record : records) lines.push_back(show(record));
  std::sort(lines.begin(), lines.end());
  return lines;
}

void expect_same(const std::vector<FlowRecord>& kernel, const std::vector<FlowRecord>& source) {
  const auto mine = sorted(kernel), theirs = sorted(source);
  std::vector<std::string> only_kernel, only_source;
  std::set_difference(mine.begin(), mine.end(), theirs.begin(), theirs.end(), std::back_inserter(only_kernel));
  std::set_difference(theirs.begin(), theirs.end(), mine.begin(), mine.end(), std::back_inserter(only_source));
  constexpr std::size_t kShown = 3;
  for (std::size_t i = 0; i < std::min(kShown, only_kernel.size()); ++i)
    ADD_FAILURE() << "only the kernel: " << only_kernel[i];
  for (std::size_t i = 0; i < std::min(kShown, only_source.size()); ++i)
    ADD_FAILURE() << "only the source: " << only_source[i];
  EXPECT_EQ(only_kernel.size(), 0u);
  EXPECT_EQ(only_source.size(), 0u);
}

Volume difference(const Volume& now, const Volume& before) {
  return {now.packets - before.packets, now.bytes - before.bytes};
}

TEST_P(KernelParity, SameRecords) {
  const std::uint32_t ingress = hook() == Hook::xdp ? kPages : kOnePage;
  const Capture capture = load(file(), {ingress, kOnePage});
  const Changes& changes = capture.changes;
  EXPECT_EQ(changes, expected_changes()) << file().filename().string() << ": padded " << changes.padded << ", moved "
                                         << changes.moved << ", cut " << changes.cut << ", too long "
                                         << changes.too_long << ", no frame " << changes.no_frame;
  const SourceRun source = this->source(capture);
  auto& context = source.harness->context();
  EXPECT_EQ(source.seen.packets, capture.packets.size());

  const Totals before = Kernel::get().totals();
  const auto records = run_kernel(capture, hook(), origins(capture, context.texts(), context.host()));
  const Totals after = Kernel::get().totals();
  expect_same(records, source.records);
  EXPECT_EQ(difference(after.seen, before.seen), source.seen);
  EXPECT_EQ(difference(after.filtered, before.filtered), source.filtered);
  EXPECT_EQ(difference(after.elsewhere, before.elsewhere), Volume{});
  for (std::size_t reason = 1; reason < FFFA_REASONS; ++reason) {
    const auto name = engine::reason_name(reason);
    EXPECT_EQ(after.reasons[reason] - before.reasons[reason], source.reason(name)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Corpus, KernelParity,
                         ::testing::Combine(::testing::ValuesIn(captures()), ::testing::Values(Hook::xdp, Hook::tc)),
                         [](const auto& i) {
                           return test_name(std::get<0>(i.param)) +
                                  (std::get<1>(i.param) == Hook::xdp ? "_xdp" : "_tc");
                         });

TEST(KernelParityCorpus, EveryExceptionIsOfACapture) {
  const auto all = captures();
  EXPECT_GE(all.size(), 51u);
  for (const auto& [name, exception] : exceptions())
    EXPECT_TRUE(std::any_of(all.begin(), all.end(), [&](const auto& path) { return path.filename() == name; })) << name;
}

}  // namespace
}  // namespace fffa::parity
