// SPDX-License-Identifier: MIT
// What a plugin was built with, read from its ELF section without loading it: loading already runs its code.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "fffa/result.h"

namespace fffa::core {

// The build tag of this program: what a plugin's must be equal to.
std::string_view host_build_tag() noexcept;

// The build tag in `file`. Reads a few bounded pieces of it, whatever it is; an error says what it is instead of a
// plugin for this machine.
Result<std::string> read_build_tag(const std::filesystem::path& file);

// Success if the tags are equal; else an error that says what the plugin and what fffa was built with.
Result<void> compare_build_tags(std::string_view plugin, std::string_view host);

}  // namespace fffa::core
