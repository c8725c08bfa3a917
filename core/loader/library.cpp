// SPDX-License-Identifier: MIT
#include "loader/library.h"

#include <dlfcn.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace fffa::core {

Result<const PluginDescriptor*> load_library(const std::filesystem::path& file) try {
  namespace dll = boost::dll;
  // never destroyed: the destructor would unload
  static auto& loaded = *new std::vector<dll::shared_library>;
  std::error_code error;
  std::string reason;
  dll::shared_library library;
  ::dlerror();
  // absolute: dlopen() searches the system's folders for a name without a slash
  library.load(std::filesystem::absolute(file), error, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  if (error) {
    const char* text = ::dlerror();
    return fail("load: " + (text != nullptr ? std::string(text) : error.message()));
  }
  loaded.push_back(std::move(library));
  if (!loaded.back().has("fffa_plugin")) return fail("it exports no descriptor `fffa_plugin`");
  return &loaded.back().get<const PluginDescriptor>("fffa_plugin");
} catch (const std::exception& problem) {  // a static initialiser of the library threw, or Boost did
  return fail(std::string("load: ") + problem.what());
}

}  // namespace fffa::core
