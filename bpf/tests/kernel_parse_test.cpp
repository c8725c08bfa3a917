// SPDX-License-Identifier: MIT
// The same cases through the XDP and TC programs in the kernel: what a read-out reports must be, byte for byte, what
// the engine makes of the packet in user space. Needs root.
#include "flow_program.h"
#include "fragments.h"
#include "native.h"
#include "parse_cases.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "flow.skel.h"

namespace fffa::bpf_test {
namespace {

constexpr std::uint64_t now_ns = 5'000'000'000;

class KernelParse : public testing::Test {
 public:
  static void SetUpTestSuite() {
    kernel_ = std::make_unique<FlowProgram<flow_bpf>>(FlowOptions{.entries = 64, .manual_clock = true});
    kernel_->load();
    kernel()->bss->manual_now_ns = now_ns;
    std::ranges::copy(kernel()->rodata->hash_seed, fragments_.table.seeds);
  }
  static void TearDownTestSuite() { kernel_.reset(); }

 protected:
  static FlowProgram<flow_bpf>& kernel() { return *kernel_; }

  static void run(const bpf_program* program, const Bytes& packet) {
    Bytes out(packet.size() + 256);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(packet.size()), .data_size_out = static_cast<__u32>(out.size()),
                .repeat = 1);
    check(bpf_prog_test_run_opts(bpf_program__fd(program), &options), "BPF_PROG_TEST_RUN");
    out.resize(options.data_size_out);
    EXPECT_EQ(out, packet) << "the packet goes on unchanged";
  }

  // What the kernel has seen of datagrams, this has seen too.
  static void follow_fragments(fffa_packet& packet) {
    if (packet.outer_fragment) fffa_follow_outer_fragment(&fragments_.table, &packet);
    if (packet.fragment) fffa_follow_fragment(&fragments_.table, &packet);
  }

  // Runs one packet and compares what was counted with the engine in user space.
  static void compare(const bpf_program* program, const Bytes& packet, int direction) {
    fffa_packet native;
    const auto reason = parse(packet, native, direction);
    native.time_ns = now_ns;
    if (!reason) follow_fragments(native);
    const auto before = kernel().reason(static_cast<std::uint32_t>(reason)).side[direction].packets;
    const auto noted = kernel().reason(native.note).side[direction].packets;
    const auto filtered = kernel().counters(1).filtered[direction].packets;
    run(program, packet);
    std::vector<fffa_drain_record> records;
    kernel().drain(~0ull, ~0ull, [&](const fffa_drain_record& r) { records.push_back(r); });
    kernel().drain(0, 0, [](const fffa_drain_record&) { FAIL() << "read out twice"; });
    EXPECT_EQ(kernel().counters(1).filtered[direction].packets - filtered, reason ? 1u : 0u);
    if (reason) {
      EXPECT_EQ(kernel().reason(static_cast<std::uint32_t>(reason)).side[direction].packets - before, 1u);
      EXPECT_TRUE(records.empty());
      return;
    }
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(kernel().reason(native.note).side[direction].packets - noted, native.note ? 1u : 0u);
    auto expected = record_of(native);
    expected.index = records[0].index;
    records[0].tunnel.side[!direction] = {};  // of a direction without packets it says nothing
    if (!expected.key.encap) records[0].tunnel = {};
    EXPECT_EQ(std::memcmp(&expected, &records[0], sizeof expected), 0);
    EXPECT_EQ(records[0].slot[direction].bytes, expected.slot[direction].bytes);
    EXPECT_EQ(std::memcmp(&records[0].key, &expected.key, sizeof expected.key), 0);
  }

 private:
  static inline std::unique_ptr<FlowProgram<flow_bpf>> kernel_;
  static inline Fragments fragments_;
};

// Loading takes longer than all the cases together: each test runs the whole table, and the cases do not depend on each
// other.
TEST_F(KernelParse, xdp_ingress) {
  for (const auto& c : parse_cases()) {
    SCOPED_TRACE(c.name);
    compare(kernel()->progs.fffa_xdp_ingress, c.packet, FFFA_INGRESS);
  }
}

TEST_F(KernelParse, tc_ingress) {
  for (const auto& c : parse_cases()) {
    SCOPED_TRACE(c.name);
    compare(kernel()->progs.fffa_tc_ingress, c.packet, FFFA_INGRESS);
  }
}

TEST_F(KernelParse, tc_egress) {
  for (const auto& c : parse_cases()) {
    SCOPED_TRACE(c.name);
    compare(kernel()->progs.fffa_tc_egress, c.packet, FFFA_EGRESS);
  }
}

// BPF_PROG_TEST_RUN takes no frame shorter than an Ethernet header.
TEST_F(KernelParse, xdp_ingress_cut_at_every_byte) {
  for (const auto& c : parse_cases()) {
    SCOPED_TRACE(c.name);
    for (std::size_t size = 14; size < c.packet.size(); ++size) {
      SCOPED_TRACE(size);
      const auto end = c.packet.begin() + static_cast<std::ptrdiff_t>(size);
      compare(kernel()->progs.fffa_xdp_ingress, Bytes(c.packet.begin(), end), FFFA_INGRESS);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace fffa::bpf_test
