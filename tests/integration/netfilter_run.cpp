// SPDX-License-Identifier: MIT
#include "netfilter_run.h"

#include <sys/utsname.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace fffa::integration {
namespace {

using nlohmann::json;

std::string pipeline(const NetfilterRun::Options& options, const std::filesystem::path& folder) {
  std::string text = "sources:\n  capture: {type: ebpf, interfaces: " + options.interfaces +
                     ", drain_interval: 200ms, " + options.source;
  if (!options.hooks.empty()) text += "hooks: " + options.hooks + ", ";
  if (!options.netfilter.empty()) text += "netfilter: " + options.netfilter;
  text += "}\naggregators:\n  flows: {type: flow_cache, inputs: [capture], interval: " + options.window +
          ", lateness: 500ms, " + options.cache + "}\nsinks:\n  out: {type: stdout, inputs: [flows], format: json}\n";
  if (options.flow_logs)
    text += "  logs: {type: vpc_flow_log, inputs: [flows], directory: " + folder.string() +
            ", log_format: '${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${action} "
            "${tcp-flags} ${flow-direction} ${reject-reason} ${log-status}'}\n";
  return text;
}

}  // namespace

bool emulated() {
  return std::getenv("FFFA_EMULATED") != nullptr;
}

std::chrono::milliseconds told() {
  return std::chrono::milliseconds(emulated() ? 5000 : 700);
}

int kernel_version() {
  utsname name{};
  ::uname(&name);
  int major = 0;
  int minor = 0;
  std::sscanf(name.release, "%d.%d", &major, &minor);
  return major * 100 + minor;
}

NetfilterRun::NetfilterRun(const Netns& where, const Options& options) {
  std::string folder = (std::filesystem::temp_directory_path() / "fffa-logs-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = folder;
  process_ = std::make_unique<FffaProcess>(where, pipeline(options, folder_),
                                           FffaProcess::Options{.without_capabilities = options.without_capabilities});
  if (!process_->logged("running: ")) throw std::runtime_error("fffa does not run:\n" + process_->log());
}

NetfilterRun::~NetfilterRun() {
  process_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

RunRecords NetfilterRun::stop() {
  process_->signal(SIGTERM);
  if (const int code = process_->wait(); code != 0)
    throw std::runtime_error("fffa ended with " + std::to_string(code) + ":\n" + process_->log());
  return RunRecords(process_->out());
}

std::vector<std::string> NetfilterRun::flow_logs() const {
  std::vector<std::string> lines;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file()) continue;
    std::istringstream text(output_of({"gzip", "-dc", entry.path().string()}));
    std::string line;
    std::getline(text, line);  // the header
    while (std::getline(text, line)) lines.push_back(line);
  }
  return lines;
}

json only(const std::set<json>& values) {
  if (values.empty()) return nullptr;
  return values.size() == 1 ? *values.begin() : json(values);
}

std::string rule_of(const FlowRecords& records) {
  std::string text;
  for (const auto* field : {"netfilter_table", "netfilter_chain", "netfilter_rule_num", "netfilter_target"})
    text += (text.empty() ? "" : " ") + only(records.values(field)).dump();
  return text;
}

json match_of(const FlowRecords& records, const std::string& wanted) {
  json match = only(records.values("netfilter_match_info"));
  const bool more = match.is_string() && match.get<std::string>().starts_with(wanted + " ");
  return more ? json(wanted) : match;
}

std::string rule_text(const std::string& table, const std::string& chain, std::size_t number,
                      const std::string& target) {
  return json(table).dump() + " " + json(chain).dump() + " " + (number == 0 ? "null" : std::to_string(number)) + " " +
         json(target).dump();
}

}  // namespace fffa::integration
