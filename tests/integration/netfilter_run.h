// SPDX-License-Identifier: MIT
// `fffa run` on a router, with netfilter, and the records that it wrote.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fffa_process.h"
#include "flow_records.h"
#include "routed_path.h"

namespace fffa::integration {

class NetfilterRun {
 public:
  struct Options {
    // far above what a test begins in a second, so that every connection's rule is looked for
    std::string netfilter = "{rate: 5000}";
    std::string hooks = "[ingress, egress, netfilter]";
    std::string interfaces = "[cl0, sv0]";
    std::string window = "1s";
    std::string source = {};  // more of the source's options: "name: value, "
    std::string cache = {};   // more of the cache's
    bool flow_logs = false;   // VPC Flow Logs too
    std::vector<int> without_capabilities = {};
  };
  // Returns when it captures; throws with its log if it does not.
  explicit NetfilterRun(const Netns& where) : NetfilterRun(where, Options{}) {}
  NetfilterRun(const Netns& where, const Options& options);
  ~NetfilterRun();
  FffaProcess& process() { return *process_; }

  // Ends it as an operator would and reads what it wrote; throws if it did not end well.
  RunRecords stop();
  // Lines of the VPC Flow Logs, headers left out; after stop().
  std::vector<std::string> flow_logs() const;

 private:
  std::filesystem::path folder_;
  std::unique_ptr<FffaProcess> process_;
};

// A rule is known so long after its packet.
std::chrono::milliseconds told();
// Under emulation (FFFA_EMULATED is set) traces are read up to seconds late: a record may be gone by then, its rule
// null.
bool emulated();
// 6.1 is 601.
int kernel_version();

// The one value, null if there is none, or all of them.
nlohmann::json only(const std::set<nlohmann::json>& values);
// The rule that records name: table, chain, number, target; match text apart.
std::string rule_of(const FlowRecords& records);
// Its match text, without what the target adds behind `wanted` (iptables: `reject-with ...`).
nlohmann::json match_of(const FlowRecords& records, const std::string& wanted);
std::string rule_text(const std::string& table, const std::string& chain, std::size_t number,
                      const std::string& target);

}  // namespace fffa::integration
