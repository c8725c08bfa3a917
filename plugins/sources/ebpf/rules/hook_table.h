// SPDX-License-Identifier: MIT
// Chains without rules where accepted packets leave netfilter: the kernel runs no hook that has no functions, and
// before 6.4 it takes a run to see a packet.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fffa/result.h"
#include "nft_context.h"

namespace fffa::ebpf {

// A table of this process's (`inet fffa_hooks`, or fffa_hooks_2 and so on) with empty chains at input and postrouting,
// which accept. It goes with the object, or with the process.
class HookTable {
 public:
  // Of the calling thread's network namespace. An error is `unavailable`: no CAP_NET_ADMIN, no nf_tables.
  static Result<std::unique_ptr<HookTable>> make();
  HookTable(const HookTable&) = delete;
  HookTable& operator=(const HookTable&) = delete;

 private:
  explicit HookTable(NftContext owner) : owner_(std::move(owner)) {}
  NftContext owner_;
};

// Whether an `inet` table of that name is such a one: what it accepts was decided by nobody.
bool is_hook_table(std::string_view name);

}  // namespace fffa::ebpf
