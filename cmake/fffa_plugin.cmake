# SPDX-License-Identifier: MIT
# fffa_plugin(NAME SOURCES... [LINK targets...]): the shared library NAME.so, its one exported symbol being the plugin's descriptor.
# In fffa's tree it is built into build/lib/fffa/plugins, where `fffa` run from the build tree looks. In a project that uses the installed
# package (find_package(fffa)) it is built into that project's build folder. Both install it to lib/fffa/plugins.
# Where testing is on, the test NAME.exports checks that nothing else is exported.
set(_fffa_plugin_dir ${CMAKE_CURRENT_LIST_DIR})

function(fffa_plugin name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "fffa_plugin(${name}) names no SOURCES")
  endif()
  add_library(${name} MODULE ${arg_SOURCES})
  # Hidden visibility alone lets instantiations of std:: templates out; the version script keeps them in.
  set(exports ${_fffa_plugin_dir}/fffa_plugin.map)
  set_target_properties(${name} PROPERTIES PREFIX "" POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LINK_DEPENDS ${exports})
  target_link_libraries(${name} PRIVATE fffa::sdk ${arg_LINK})
  target_link_options(${name} PRIVATE -Wl,--version-script,${exports})
  # Names left open fail here, not when a user loads the plugin. clang leaves its sanitizer runtime to the executable.
  if(NOT (CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND FFFA_SANITIZE))
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  if(TARGET fffa_options)
    target_link_libraries(${name} PRIVATE fffa_options)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${fffa_BINARY_DIR}/lib/fffa/plugins)
    set_property(GLOBAL APPEND PROPERTY fffa_plugins ${name})
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION lib/fffa/plugins)
  if(BUILD_TESTING)
    add_test(NAME ${name}.exports
             COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DPLUGIN=$<TARGET_FILE:${name}> -P ${_fffa_plugin_dir}/check_exports.cmake)
    set_tests_properties(${name}.exports PROPERTIES LABELS unit)
  endif()
endfunction()

# fffa_conformance(PLUGIN [TYPE stage-type] [CONFIG yaml] [LABELS labels...]): the test PLUGIN.conformance runs the SDK's conformance suite on
# the library. CONFIG: options with which the stage can run here.
function(fffa_conformance plugin)
  cmake_parse_arguments(arg "" "TYPE;CONFIG" "LABELS" ${ARGN})
  if(NOT BUILD_TESTING)
    return()
  endif()
  if(TARGET fffa-conformance)
    set(program $<TARGET_FILE:fffa-conformance>)
  else()
    set(program ${FFFA_CONFORMANCE})
  endif()
  set(test ${plugin}.conformance)
  if(arg_TYPE)
    string(APPEND test .${arg_TYPE})
    set(type --type ${arg_TYPE})
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  add_test(NAME ${test} COMMAND ${program} $<TARGET_FILE:${plugin}> ${type} --config "${arg_CONFIG}")
  set_tests_properties(${test} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300)
endfunction()
