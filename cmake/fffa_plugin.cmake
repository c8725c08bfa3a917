# fffa_plugin(NAME SOURCES... [LINK targets...]): the shared library NAME.so, its one exported symbol being the plugin's descriptor.
# In the tree it is built into build/lib/fffa/plugins, where `fffa` run from the build tree looks; it is installed to lib/fffa/plugins.
function(fffa_plugin name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} MODULE ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES
    PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib/fffa/plugins)
  target_link_libraries(${name} PRIVATE fffa::sdk ${arg_LINK})
  target_link_options(${name} PRIVATE -Wl,-z,defs)
  if(TARGET fffa_options)
    target_link_libraries(${name} PRIVATE fffa_options)
    install(TARGETS ${name} LIBRARY DESTINATION lib/fffa/plugins)
  endif()
endfunction()
