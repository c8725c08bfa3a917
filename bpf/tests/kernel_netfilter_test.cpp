// SPDX-License-Identifier: MIT
// The programs that watch netfilter load on this kernel: those that it has a use for. Needs root.
#include "flow_program.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>

#include "flow.skel.h"

namespace fffa::bpf_test {
namespace {

constexpr int kFirst = 0;
constexpr int kLinks = 604;      // netfilter programs
constexpr int kReceivers = 611;  // kfree_skb tells of the receiving socket
constexpr int kLast = 99999;

struct Watcher {
  const char* name;
  int from;   // kernel, 6.4 is 604
  int until;  // the first that is too new
};
constexpr std::array<Watcher, 8> kWatchers = {{{"fffa_hook_begin", kLinks, kLast},
                                               {"fffa_hook_end", kLinks, kLast},
                                               {"fffa_freed", kLinks, kReceivers},
                                               {"fffa_freed_for", kReceivers, kLast},
                                               {"fffa_traced_begin", kFirst, kLinks},
                                               {"fffa_traced_end", kFirst, kLinks},
                                               {"fffa_traced_back", kFirst, kLinks},
                                               {"fffa_traced_freed", kFirst, kLinks}}};

int running_kernel() {
  utsname name{};
  ::uname(&name);
  int major = 0;
  int minor = 0;
  std::sscanf(name.release, "%d.%d", &major, &minor);
  return major * 100 + minor;
}

// A number that the headers we build with may be too old for.
template <typename Enum>
__attribute__((no_sanitize("enum"))) Enum newer(std::uint32_t number) {
  Enum value;
  std::memcpy(&value, &number, sizeof value);
  return value;
}

struct Destroy {
  void operator()(flow_bpf* skeleton) const { flow_bpf::destroy(skeleton); }
};

class Watchers : public ::testing::TestWithParam<Watcher> {};

TEST_P(Watchers, Load) {
  const Watcher& watcher = GetParam();
  const int kernel = running_kernel();
  if (kernel < watcher.from || kernel >= watcher.until) {
    std::cout << watcher.name << " is for other kernels than " << kernel << std::endl;
    return;
  }
  const std::unique_ptr<flow_bpf, Destroy> skeleton(flow_bpf::open());
  ASSERT_TRUE(skeleton);
  for (bpf_map* map :
       {skeleton->maps.flows, skeleton->maps.buckets, skeleton->maps.tunnels, skeleton->maps.verdict_table})
    check(bpf_map__set_max_entries(map, 1024), "size a table");
  check(bpf_map__set_max_entries(skeleton->maps.events, 1 << 16), "size events");
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj)
      bpf_program__set_autoload(program, std::strcmp(bpf_program__name(program), watcher.name) == 0);
  if (std::strncmp(watcher.name, "fffa_hook_", 10) == 0) {  // libbpf may be older than this type
    program = bpf_object__find_program_by_name(skeleton->obj, watcher.name);
    bpf_program__set_type(program, newer<bpf_prog_type>(32));
    bpf_program__set_expected_attach_type(program, newer<bpf_attach_type>(45));
  }
  EXPECT_EQ(flow_bpf::load(skeleton.get()), 0);
}
INSTANTIATE_TEST_SUITE_P(Kernel, Watchers, ::testing::ValuesIn(kWatchers), [](const auto& parameter) {
  return std::string(parameter.param.name + std::strlen("fffa_"));
});

}  // namespace
}  // namespace fffa::bpf_test
