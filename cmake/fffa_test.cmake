find_package(GTest REQUIRED)
include(GoogleTest)

# fffa_test(NAME SOURCES... [LINK targets...] [LABELS labels...]): one GoogleTest binary; every test in it is a ctest test of its own.
function(fffa_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest GTest::gmock GTest::gtest_main fffa_options)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  gtest_discover_tests(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()
