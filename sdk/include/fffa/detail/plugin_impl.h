// SPDX-License-Identifier: MIT
// FFFA_PLUGIN: from a class and its bound configuration to a descriptor. Everything that does not depend on the
// class is in plugin.cpp and guard.cpp.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "fffa/config.h"
#include "fffa/plugin.h"

// Free text of the plugin's own, printed by `fffa plugins`; define it before the include or on the command line.
#ifndef FFFA_PLUGIN_VERSION
#define FFFA_PLUGIN_VERSION ""
#endif

namespace fffa::detail {

// ---- the part that is compiled once (guard.cpp)

using MakeStage = std::unique_ptr<Stage> (*)(const ConfigNode& node, StageContext& context);
// Builds the stage with `make` and wraps it: no exception of its constructor, functions or callbacks gets out.
Result<std::unique_ptr<Stage>> create_guarded(StageKind kind, MakeStage make, const ConfigNode& node,
                                              StageContext& context) noexcept;
// Runs body(data); false and `what` (the exception's text) if it threw.
bool guarded(void (*body)(void*), void* data, std::string& what) noexcept;
template <typename Body>
bool guarded(Body body, std::string& what) noexcept {
  return guarded([](void* data) { (*static_cast<Body*>(data))(); }, &body, what);
}

// ---- what a class has

template <typename C>
concept HasResources = requires {
  &C::resources;
};
template <typename C>
concept HasEmits = requires {
  &C::emits;
};
template <typename C>
concept HasAccepts = requires {
  &C::accepts_cumulative;
};
template <typename C>
concept HasReadsOnce = requires {
  &C::reads_once;
};
template <typename C>
concept HasReadsAgain = requires {
  &C::reads_again;
};
template <typename C>
concept HasCheck = requires {
  &C::check;
};
template <typename C>
concept HasProbe = requires {
  &C::probe;
};

template <typename C>
consteval StageKind stage_kind() {
  constexpr int kinds = std::is_base_of_v<Source, C> + std::is_base_of_v<Enricher, C> +
                        std::is_base_of_v<Aggregator, C> + std::is_base_of_v<Sink, C> + std::is_base_of_v<AsyncSink, C>;
  static_assert(
      kinds == 1,
      "a stage class derives publicly from exactly one of fffa::Source, Enricher, Aggregator, Sink, AsyncSink");
  if (std::is_base_of_v<Source, C>) return StageKind::source;
  if (std::is_base_of_v<Enricher, C>) return StageKind::enricher;
  if (std::is_base_of_v<Aggregator, C>) return StageKind::aggregator;
  return std::is_base_of_v<Sink, C> ? StageKind::sink : StageKind::async_sink;
}

template <typename C, typename Config>
consteval void check_members() {
  static_assert(Bound<Config>, "bind the configuration with FFFA_CONFIG, in its own namespace");
  static_assert(std::default_initializable<Config> && std::copy_constructible<Config>,
                "a configuration has defaults and can be copied");
  static_assert(!std::is_abstract_v<C>, "the stage class leaves a pure virtual function open");
  static_assert(std::is_constructible_v<C, Config, StageContext&>,
                "expected a public constructor: Class(Config config, fffa::StageContext& context)");
  if constexpr (HasResources<C>) {
    static_assert(
        requires(const Config& c) {
          { C::resources(c) } -> std::same_as<std::vector<Resource>>;
        },
        "expected: static std::vector<fffa::Resource> resources(const Config&)");
  }
  if constexpr (HasEmits<C>) {
    static_assert(
        requires(const Config& c) {
          { C::emits(c) } -> std::same_as<RecordKind>;
        },
        "expected: static fffa::RecordKind emits(const Config&)");
  }
  if constexpr (HasAccepts<C>) {
    static_assert(std::is_same_v<decltype(&C::accepts_cumulative), const bool*>,
                  "expected: static constexpr bool accepts_cumulative = ...");
  }
  if constexpr (HasReadsOnce<C>) {
    static_assert(std::is_same_v<decltype(&C::reads_once), const bool*> && std::is_base_of_v<Source, C>,
                  "expected, of a source: static constexpr bool reads_once = ...");
  }
  if constexpr (HasReadsAgain<C>) {
    static_assert(std::is_same_v<decltype(&C::reads_again), const bool*> && std::is_base_of_v<Source, C>,
                  "expected, of a source: static constexpr bool reads_again = ...");
  }
  if constexpr (HasCheck<C>) {
    static_assert(
        requires(const Config& c, Checker& checker) {
          { C::check(c, checker) } -> std::same_as<void>;
        },
        "expected: static void check(const Config&, fffa::Checker&)");
  }
  if constexpr (HasProbe<C>) {
    static_assert(
        requires {
          { C::probe() } -> std::same_as<Probe>;
        },
        "expected: static fffa::Probe probe()");
  }
}

// ---- the functions of a StageType

template <typename C, typename Config>
struct StageFunctions {
  static const Schema& schema() noexcept { return schema_of<Config>(); }

  static bool check(const ConfigNode& node, const std::string& path, Diagnostics& diagnostics) noexcept {
    bool good = false;
    std::string what;
    const auto body = [&] {
      const std::size_t before = diagnostics.all().size();
      Config config;
      if (!read_config(node, path, config, diagnostics)) return;
      if constexpr (HasCheck<C>) {
        Checker checker(node, path, diagnostics);
        C::check(config, checker);
      }
      // Called here too, so that what they throw is told.
      if constexpr (HasResources<C>) static_cast<void>(C::resources(config));
      if constexpr (HasEmits<C>) static_cast<void>(C::emits(config));
      good = diagnostics.all().size() == before;
    };
    if (!guarded(body, what))
      diagnostics.add({node.at, path, "the plugin threw while checking its options: " + what, {}}), good = false;
    return good;
  }

  // `node` passed check().
  static Config config_of(const ConfigNode& node) {
    Config config;
    Diagnostics unused;
    static_cast<void>(read_config(node, {}, config, unused));
    return config;
  }

  static std::unique_ptr<Stage> make(const ConfigNode& node, StageContext& context) {
    Config config;
    Diagnostics diagnostics;
    if (!read_config(node, {}, config, diagnostics))
      throw Failure(fail("configuration: " + to_string(diagnostics.all().front())));
    return std::make_unique<C>(std::move(config), context);
  }

  static Result<std::unique_ptr<Stage>> create(const ConfigNode& node, StageContext& context) noexcept {
    return create_guarded(stage_kind<C>(), &make, node, context);
  }

  static std::vector<Resource> resources(const ConfigNode& node) noexcept {
    std::vector<Resource> owned;
    if constexpr (HasResources<C>) {
      std::string what;
      static_cast<void>(guarded([&] { owned = C::resources(config_of(node)); }, what));
    }
    static_cast<void>(node);
    return owned;
  }

  static RecordKind emits(const ConfigNode& node) noexcept {
    RecordKind kind = RecordKind::delta;
    if constexpr (HasEmits<C>) {
      std::string what;
      static_cast<void>(guarded([&] { kind = C::emits(config_of(node)); }, what));
    }
    static_cast<void>(node);
    return kind;
  }

  static Probe probe() noexcept {
    Probe found;
    if constexpr (HasProbe<C>) {
      std::string what;
      if (!guarded([&] { found = C::probe(); }, what))
        found.findings.push_back({Finding::Level::missing, "probe", what, {}});
    }
    return found;
  }
};

template <typename C>
consteval bool accepts_cumulative(StageKind kind) {
  if constexpr (HasAccepts<C>) return C::accepts_cumulative;
  return kind != StageKind::aggregator;
}
template <typename C>
consteval bool reads_once() {
  if constexpr (HasReadsOnce<C>) return C::reads_once;
  return false;
}
template <typename C>
consteval bool reads_again() {
  if constexpr (HasReadsAgain<C>) return C::reads_again;
  return false;
}

}  // namespace fffa::detail

namespace fffa {

// One stage type of a library that holds several: FFFA_STAGES(fffa::stage_type<A, AConfig>("a", "what a does"),
// ...)
template <typename C, typename Config>
consteval StageType stage_type(const char* name, const char* summary) {
  detail::check_members<C, Config>();
  using Functions = detail::StageFunctions<C, Config>;
  StageType type;
  type.kind = detail::stage_kind<C>();
  type.name = name;
  type.summary = summary;
  type.schema = &Functions::schema;
  type.check = &Functions::check;
  type.create = &Functions::create;
  type.resources = &Functions::resources;
  type.emits = &Functions::emits;
  type.accepts_cumulative = detail::accepts_cumulative<C>(type.kind);
  type.reads_once = detail::reads_once<C>();
  type.reads_again = detail::reads_again<C>();
  type.probe = detail::HasProbe<C> ? &Functions::probe : nullptr;
  return type;
}

}  // namespace fffa

// The descriptor is constant data: loading a plugin runs no code of it. The descriptor refers to the tag, so the
// linker keeps the section.
#define FFFA_STAGES(...)                                                                                        \
  namespace {                                                                                                   \
  [[gnu::used, gnu::section(FFFA_BUILD_TAG_SECTION)]] constexpr char fffa_build_tag_text[] = FFFA_BUILD_TAG;    \
  constexpr ::fffa::StageType fffa_stage_types[] = {__VA_ARGS__};                                               \
  }                                                                                                             \
  extern "C" {                                                                                                  \
  [[gnu::visibility("default")]] extern constinit const ::fffa::PluginDescriptor fffa_plugin;                   \
  constinit const ::fffa::PluginDescriptor fffa_plugin{sizeof(::fffa::PluginDescriptor),                        \
                                                       ::fffa::kAbiVersion,                                     \
                                                       fffa_build_tag_text,                                     \
                                                       FFFA_PLUGIN_VERSION,                                     \
                                                       fffa_stage_types,                                        \
                                                       sizeof(fffa_stage_types) / sizeof(fffa_stage_types[0])}; \
  }

#define FFFA_PLUGIN(name, summary, Class, Config) FFFA_STAGES(::fffa::stage_type<Class, Config>(name, summary))
