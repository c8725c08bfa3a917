// SPDX-License-Identifier: MIT
// A plugin that is wrong as a library: another build tag, a symbol too many, no descriptor.
#ifdef FAULT_TAG
#include "fffa/detail/build_tag.h"
#undef FFFA_BUILD_TAG
#define FFFA_BUILD_TAG "fffa-build-tag abi=0 arch=vax"
#endif
#include "fffa/plugin.h"

namespace {

struct Config {
  bool quiet = true;
};
FFFA_CONFIG(Config, (quiet, "says nothing"))

class Nothing final : public fffa::Sink {
 public:
  Nothing(const Config&, fffa::StageContext&) {}
  fffa::Result<void> write(const fffa::Batch&) override { return {}; }
};

}  // namespace

#ifdef FAULT_NOTHING
[[gnu::used, gnu::section(FFFA_BUILD_TAG_SECTION)]] constexpr char tag[] = FFFA_BUILD_TAG;
extern "C" [[gnu::visibility("default")]] const fffa::StageType fffa_stage;
const fffa::StageType fffa_stage = fffa::stage_type<Nothing, Config>("nothing", "takes all, does nothing");
#else
FFFA_PLUGIN("nothing", "takes all, does nothing", Nothing, Config)
#endif

#ifdef FAULT_EXPORTS
extern "C" [[gnu::visibility("default")]] int fffa_plugin_helper();
int fffa_plugin_helper() {
  return 1;
}
#endif
