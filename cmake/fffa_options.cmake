# SPDX-License-Identifier: MIT
# What every target of this tree is compiled with: link fffa_options (fffa_plugin() and fffa_test() do).
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
# The target all_verify_interface_header_sets compiles each header of a FILE_SET on its own.
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)
# The build tree has the installed tree's shape, so that `fffa` finds its plugins the same way in both: ../lib/fffa/plugins.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

set(FFFA_SANITIZE "" CACHE STRING "Sanitizers for every target, as -fsanitize= takes them (address,undefined or thread)")
option(FFFA_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(FFFA_WERROR "Treat warnings as errors" ON)

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(FFFA_CCACHE ccache)
  if(FFFA_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${FFFA_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${FFFA_CCACHE})
  endif()
endif()

add_library(fffa_options INTERFACE)
target_compile_options(fffa_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual>
  $<$<BOOL:${FFFA_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # At -O3 it is raised falsely for std::string's operator+ with a literal on the left (GCC bug 105651).
  target_compile_options(fffa_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(FFFA_SANITIZE)
  add_compile_options(-fsanitize=${FFFA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FFFA_SANITIZE})
  # GCC's instrumentation of std::optional and std::variant raises these falsely.
  target_compile_options(fffa_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
if(FFFA_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "FFFA_FUZZ needs clang++ (libFuzzer): configure with the preset `fuzz`")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
