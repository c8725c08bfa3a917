// SPDX-License-Identifier: MIT
#include "hook_table.h"

#include <string>

namespace fffa::ebpf {
namespace {

constexpr std::string_view kName = "fffa_hooks";
constexpr int kNames = 9;

std::string commands(const std::string& name) {
  // of a block behind `create`, nft 1.0.6 takes the flags only
  std::string text = "create table inet " + name + " { flags owner; }\ntable inet " + name + " {\nflags owner\n";
  for (const std::string hook : {"input", "postrouting"})
    text += "chain " + hook + " { type filter hook " + hook + " priority 400; policy accept; }\n";
  return text + "}\n";
}

}  // namespace

Result<std::unique_ptr<HookTable>> HookTable::make() {
  auto owner = NftContext::open();
  if (!owner) return owner.error();
  Error last;
  for (int i = 1; i <= kNames; ++i) {
    const auto made = owner->run(commands(std::string(kName) + (i == 1 ? "" : "_" + std::to_string(i))));
    if (made) return std::unique_ptr<HookTable>(new HookTable(std::move(*owner)));
    last = made.error();
    if (last.message.find("File exists") == std::string::npos) break;
  }
  last.message = "make a table with empty chains: " + last.message;
  last.disposition = Disposition::unavailable;
  return last;
}

bool is_hook_table(std::string_view name) {
  return name.starts_with(kName);
}

}  // namespace fffa::ebpf
