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
  if(FFFA_SANITIZE)
    # GCC takes four times as long for instrumented tests with optimisation as without
    target_compile_options(${name} PRIVATE -O0)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  gtest_discover_tests(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 120 ${arg_PROPERTIES} DISCOVERY_TIMEOUT 60)
endfunction()

# fffa_fuzz(NAME SOURCES... [LINK targets...] [CORPUS dirs...] [SECONDS n] [OPTIONS libFuzzer options...]): one libFuzzer target (preset
# `fuzz`; elsewhere the call does nothing). The ctest test fuzz.NAME replays the seed corpus and fuzzes on for n seconds (default 60).
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
    set(arg_SECONDS 60)
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

# fffa_vm_test(NAME SCRIPT file [FILES file[:guest path]...] [MODULES kernel modules...] [KERNELS series...] [SECONDS n]):
# runs SCRIPT as root in a virtual machine with each of Debian's kernels (default 6.1 and 6.12), as tests/vm/run describes. The ctest
# tests are vm.NAME.SERIES, labelled vm. FILES may hold generator expressions ($<TARGET_FILE:fffa>:/opt/fffa/bin/fffa); the guest's
# /work/series names the kernel.
function(fffa_vm_test name)
  cmake_parse_arguments(arg "" "SCRIPT;SECONDS" "FILES;MODULES;KERNELS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(NOT arg_KERNELS)
    set(arg_KERNELS 6.1 6.12)
  endif()
  if(NOT arg_SECONDS)
    set(arg_SECONDS 300)
  endif()
  math(EXPR timeout "${arg_SECONDS} + 120")   # what fetching the kernel and packing the guest may take besides
  list(JOIN arg_MODULES " " modules)
  cmake_path(ABSOLUTE_PATH arg_SCRIPT)
  foreach(kernel ${arg_KERNELS})
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/series-${kernel} CONTENT "${kernel}\n")
    add_test(NAME vm.${name}.${kernel}
             COMMAND ${fffa_SOURCE_DIR}/tests/vm/run -t ${arg_SECONDS} -m "${modules}" ${kernel} ${arg_SCRIPT} ${arg_FILES}
                     ${CMAKE_CURRENT_BINARY_DIR}/series-${kernel}:/work/series)
    set_tests_properties(vm.${name}.${kernel} PROPERTIES LABELS vm TIMEOUT ${timeout} PROCESSORS 2)
  endforeach()
endfunction()
