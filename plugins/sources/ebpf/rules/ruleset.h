// SPDX-License-Identifier: MIT
// The ruleset as it is known: rules by their handles, with position and text.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "fffa/context.h"
#include "nft_context.h"
#include "nft_socket.h"
#include "rule_text.h"
#include "trace_join.h"

namespace fffa::ebpf {

// A rule or, with handle 0, a chain's policy. Kept up to date while it exists.
struct KnownRule {
  std::uint8_t family = 0;
  std::string table;
  std::uint64_t table_handle = 0;  // tells a table from the one of the same name that was there before
  std::string chain;
  std::uint64_t handle = 0;
  std::uint32_t number = 0;  // 1-based; 0: policy
  bool rejects = false;
  RuleText text;
  bool gone = false;
};

struct BaseChain {
  std::uint32_t hook = 0;
  std::int32_t priority = 0;
  std::string type;
  bool ours = false;  // of a fffa's table
};

// Lists the kernel's ruleset, with texts. One thread at a time.
class Lister {
 public:
  static Result<Lister> open();
  Result<std::vector<ListedTable>> list(Logger& log);

 private:
  Lister(NftDump dump, NftContext nft) : dump_(std::move(dump)), nft_(std::move(nft)) {}
  Result<std::vector<ListedTable>> list_nft();
  bool keep_texts(std::vector<ListedTable>& tables) const;
  static void add_iptables_texts(std::vector<ListedTable>& tables, Logger& log);

  NftDump dump_;
  NftContext nft_;
  std::vector<ListedTable> listed_;  // the last time
};

// What was listed last, by the names that trace messages use.
class Ruleset {
 public:
  void take(const std::vector<ListedTable>& tables);
  void table_gone(std::uint8_t family, const std::string& table);
  void chain_gone(std::uint8_t family, const std::string& table, const std::string& chain);
  void rule_gone(std::uint8_t family, const std::string& table, std::uint64_t handle);

  // Null: no such rule.
  std::shared_ptr<const KnownRule> rule(const TraceRun& run) const;
  const BaseChain* base_chain(const TraceRun& run) const;
  // Some rule hands packets over to user space.
  bool queues() const;

 private:
  using RuleKey = std::tuple<std::uint8_t, std::string, std::uint64_t>;
  using ChainKey = std::tuple<std::uint8_t, std::string, std::string>;

  std::map<RuleKey, std::shared_ptr<KnownRule>> rules_;
  std::map<ChainKey, std::shared_ptr<KnownRule>> policies_;
  std::map<ChainKey, BaseChain> base_chains_;
};

// Which of a packet's base chains decided it, and where: the last one if it dropped the packet; else, of the filter
// chains at LOCAL_IN, FORWARD or LOCAL_OUT, the last that ended by a rule, or the last one's policy. Null: none did, or
// it is not known how one of them ended.
const TraceRun* deciding_run(const TracedPacket& packet, const Ruleset& ruleset);

}  // namespace fffa::ebpf
