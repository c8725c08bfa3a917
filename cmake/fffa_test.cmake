# SPDX-License-Identifier: MIT
# fffa_test(NAME SOURCES... [LINK targets...] [LABELS labels...] [PROPERTIES ctest properties...]):
# one GoogleTest binary; every test in it is a ctest test of its own. Labels: unit (default), integration (needs root: namespaces,
# sockets, BPF), e2e. With BUILD_TESTING=OFF the target exists, but nothing builds it and GoogleTest is not needed.
if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

function(fffa_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;LABELS;PROPERTIES" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${fffa_BINARY_DIR}/tests)
  if(NOT BUILD_TESTING)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest GTest::gmock GTest::gtest_main fffa_options)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  gtest_discover_tests(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 120 ${arg_PROPERTIES} DISCOVERY_TIMEOUT 60)
endfunction()

# fffa_fuzz(NAME SOURCES... [LINK targets...] [CORPUS dirs...] [SECONDS n] [OPTIONS libFuzzer options...]): one libFuzzer target (preset
# `fuzz`; elsewhere the call does nothing). The ctest test fuzz.NAME replays the seed corpus and fuzzes on for n seconds (default 20).
# The target `fuzzers` builds all of them.
if(FFFA_FUZZ)
  add_custom_target(fuzzers)
endif()
function(fffa_fuzz name)
  if(NOT FFFA_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "SECONDS" "SOURCES;LINK;CORPUS;OPTIONS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${fffa_BINARY_DIR}/fuzz)
  target_link_libraries(${name} PRIVATE ${arg_LINK} fffa_options)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${name})
  if(NOT arg_SECONDS)
    set(arg_SECONDS 20)
  endif()
  # the first folder receives what the run finds and stays in the build tree; the seeds are only read
  set(found ${fffa_BINARY_DIR}/fuzz/${name}.corpus)
  file(MAKE_DIRECTORY ${found})
  math(EXPR timeout "${arg_SECONDS} + 120")
  add_test(NAME fuzz.${name}
           COMMAND ${name} -max_total_time=${arg_SECONDS} -timeout=10 -print_final_stats=1 ${arg_OPTIONS}
                   -artifact_prefix=${fffa_BINARY_DIR}/fuzz/${name}- ${found} ${arg_CORPUS}
           WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT ${timeout})
endfunction()
