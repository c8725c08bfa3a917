# SPDX-License-Identifier: MIT
# What `cmake --install` lays down: bin/fffa, lib/fffa/plugins/*.so (by fffa_plugin()), include/fffa, share/fffa/pipelines and the CMake
# package lib/cmake/fffa with the targets fffa::sdk and fffa::testing. `lib` is meant as it stands, on every distribution: the program
# finds its plugins relative to itself.
include(CMakePackageConfigHelpers)
set(_package lib/cmake/fffa)

if(TARGET fffa)
  install(TARGETS fffa RUNTIME DESTINATION bin)
endif()
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/pipelines)
  install(DIRECTORY pipelines DESTINATION share/fffa FILES_MATCHING PATTERN "*.yaml")
endif()
install(FILES LICENSE DESTINATION share/doc/fffa)

set(_exported)
foreach(part sdk testing)
  if(TARGET fffa::${part})
    get_target_property(_real fffa::${part} ALIASED_TARGET)
    set_target_properties(${_real} PROPERTIES EXPORT_NAME ${part})
    list(APPEND _exported ${_real})
  endif()
endforeach()
if(_exported)
  install(TARGETS ${_exported} EXPORT fffaTargets ARCHIVE DESTINATION lib FILE_SET HEADERS DESTINATION include)
  install(EXPORT fffaTargets NAMESPACE fffa:: DESTINATION ${_package})
  configure_package_config_file(cmake/fffaConfig.cmake.in ${PROJECT_BINARY_DIR}/fffaConfig.cmake INSTALL_DESTINATION ${_package})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/fffaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/fffaConfig.cmake ${PROJECT_BINARY_DIR}/fffaConfigVersion.cmake
                cmake/fffa_plugin.cmake cmake/fffa_plugin.map cmake/check_exports.cmake DESTINATION ${_package})
endif()

# The target `runtime` is all that is installed, and no tests.
get_property(_plugins GLOBAL PROPERTY fffa_plugins)
add_custom_target(runtime)
foreach(part fffa ${_plugins} ${_exported} fffa-conformance)
  if(TARGET ${part})
    add_dependencies(runtime ${part})
  endif()
endforeach()
