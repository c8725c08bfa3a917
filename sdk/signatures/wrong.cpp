// SPDX-License-Identifier: MIT
// A sink that is right, and with one definition wrong in one way: the compiler must say what was expected.
#include "fffa/plugin.h"

namespace {

#ifdef WRONG_OPTION
struct Odd {};
#else
using Odd = int;
#endif
struct Config {
  Odd size = {};
};
#ifndef WRONG_BINDING
FFFA_CONFIG(Config, (size, "how much"))
#endif

#ifdef WRONG_BASE
class Example final {
#else
class Example final : public fffa::Sink {
#endif
 public:
#ifdef WRONG_CONSTRUCTOR
  explicit Example(fffa::StageContext&) {}
#else
  Example(const Config&, fffa::StageContext&) {}
#endif
#ifdef WRONG_ABSTRACT
  void write();
#elif defined(WRONG_BASE)
  fffa::Result<void> write(const fffa::Batch&) {
    return {};
  }
#else
fffa::Result<void> write(const fffa::Batch&) override {
  return {};
}
#endif
#ifdef WRONG_RESOURCES
  std::vector<fffa::Resource> resources(const Config&) {
    return {};
  }
#else
  static std::vector<fffa::Resource> resources(const Config&) {
    return {};
  }
#endif
#ifdef WRONG_EMITS
  static bool emits(const Config&) {
    return true;
  }
#else
  static fffa::RecordKind emits(const Config&) {
    return fffa::RecordKind::delta;
  }
#endif
#ifdef WRONG_ACCEPTS
  static bool accepts_cumulative() {
    return true;
  }
#else
  static constexpr bool accepts_cumulative = false;
#endif
#ifdef WRONG_READS_ONCE
  static constexpr bool reads_once = true;  // a sink
#endif
#ifdef WRONG_READS_AGAIN
  static constexpr bool reads_again = true;  // a sink
#endif
#ifdef WRONG_CHECK
  static void check(const Config&, fffa::Diagnostics&) {}
#else
  static void check(const Config&, fffa::Checker&) {}
#endif
#ifdef WRONG_PROBE
  static std::vector<fffa::Finding> probe() {
    return {};
  }
#else
  static fffa::Probe probe() {
    return {};
  }
#endif
};

}  // namespace

FFFA_PLUGIN("example", "does nothing", Example, Config)
