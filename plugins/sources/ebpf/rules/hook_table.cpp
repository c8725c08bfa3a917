// SPDX-License-Identifier: MIT
#include "hook_table.h"

#include <string>

namespace fffa::ebpf {
namespace {

constexpr std::string_view kName = "fffa_hooks";
constexpr const char* kChains =
    "chain input { type filter hook input priority 400; policy accept; }\n"
    "chain postrouting { type filter hook postrouting priority 400; policy accept; }\n";

}  // namespace

Result<std::unique_ptr<HookTable>> HookTable::make() {
  auto owner = NftContext::open();
  if (!owner) return owner.error();
  if (auto made = owner->make_own_table(std::string(kName), kChains); !made) return made.error();
  return std::unique_ptr<HookTable>(new HookTable(std::move(*owner)));
}

bool is_hook_table(std::string_view name) {
  return name.starts_with(kName);
}

}  // namespace fffa::ebpf
