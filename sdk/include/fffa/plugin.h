// SPDX-License-Identifier: MIT
// What a plugin exports: one descriptor, under the C symbol `fffa_plugin`. Include this in one .cpp and end it with
// FFFA_PLUGIN.
//
//   FFFA_PLUGIN("syslog", "flows to syslog", Syslog, Config)
//
// Syslog derives from Source, Enricher, Aggregator, Sink or AsyncSink and is constructible from (Config,
// StageContext&). It may also have, all static:
//   std::vector<fffa::Resource> resources(const Config&)  what it owns alone; two owners of one resource: an error. A
//                                                         reload builds a stage beside its predecessor unless both own
//                                                         something in common
//   fffa::RecordKind emits(const Config&)                 sources and aggregators; default: delta
//   constexpr bool accepts_cumulative                     aggregators and sinks; default: sinks true, else false
//   constexpr bool reads_once                             sources whose input is not there a second time, or would
//                                                         count twice: a reload never begins them anew; default: false
//   constexpr bool reads_again                            sources whose input stays until it is acknowledged, and not
//                                                         as held: what a run ends with, a later one reads, and so it
//                                                         is no loss; default: false
//   void check(const Config&, fffa::Checker&)             validation beyond types and ranges: no I/O
//   fffa::Probe probe()                                   what this machine allows: `fffa doctor`, `fffa interfaces`
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fffa/config.h"
#include "fffa/context.h"
#include "fffa/detail/build_tag.h"
#include "fffa/stage.h"

namespace fffa {

// Raised by one with every change of layout or meaning of what crosses the plugin boundary (a golden file in sdk/abi
// notices).
inline constexpr std::uint32_t kAbiVersion = FFFA_ABI_VERSION;

enum class StageKind : std::uint8_t { source, enricher, aggregator, sink, async_sink };
enum class RecordKind : std::uint8_t { delta, cumulative };

// Something that only one stage of the process may own: {"directory", "/var/log/fffa"}, {"interface hook", "eth0
// ingress"}, {"stdout", ""}.
struct Resource {
  std::string kind;
  std::string name;
  friend bool operator==(const Resource&, const Resource&) = default;
};

// One line of `fffa doctor`.
struct Finding {
  enum class Level : std::uint8_t { ok, degraded, missing } level = Level::ok;
  std::string what;    // "TCX links"
  std::string detail;  // "kernel 6.18"
  std::string remedy;  // what to do about it; empty for ok
};
struct InterfaceInfo {  // one line of `fffa interfaces`
  std::string name;
  std::uint32_t ifindex = 0;
  std::string state;      // "up", "down"
  std::string addresses;  // comma-separated
  std::string hooks;      // what would be used: "xdp-native ingress, tcx egress"
};
struct Probe {
  std::vector<Finding> findings;
  std::vector<InterfaceInfo> interfaces;
};

// Where check() reports: `option` is a key of the stage ("log_format", "tls.ca"); its place in the YAML is found from
// it.
class Checker {
 public:
  Checker(const ConfigNode& node, std::string path, Diagnostics& diagnostics)
      : node_(node), path_(std::move(path)), diagnostics_(diagnostics) {}
  void error(std::string_view option, std::string message, std::string hint = {});

 private:
  const ConfigNode& node_;
  std::string path_;
  Diagnostics& diagnostics_;
};

// Functions of a stage type. None of them throws; `config` has the stage's own options only (the host takes type,
// inputs, ... out).
struct StageType {
  std::size_t size = sizeof(StageType);
  StageKind kind{};
  const char* name = nullptr;
  const char* summary = nullptr;
  const Schema& (*schema)() noexcept = nullptr;
  // All problems of a configuration; no I/O. False if there were any.
  bool (*check)(const ConfigNode& config, const std::string& path, Diagnostics& diagnostics) noexcept = nullptr;
  // The stage, guarded: exceptions from its functions come out as errors. `config` passed check().
  Result<std::unique_ptr<Stage>> (*create)(const ConfigNode& config, StageContext& context) noexcept = nullptr;
  std::vector<Resource> (*resources)(const ConfigNode& config) noexcept = nullptr;
  RecordKind (*emits)(const ConfigNode& config) noexcept = nullptr;
  bool accepts_cumulative = true;
  bool reads_once = false;
  bool reads_again = false;
  Probe (*probe)() noexcept = nullptr;  // nullptr: nothing to say
};

struct PluginDescriptor {
  std::size_t size = sizeof(PluginDescriptor);
  std::uint32_t abi_version = kAbiVersion;
  const char* build_tag = nullptr;
  const char* version = nullptr;  // of the plugin, free text
  const StageType* stages = nullptr;
  std::size_t stage_count = 0;
};

}  // namespace fffa

#include "fffa/detail/plugin_impl.h"
