# SPDX-License-Identifier: MIT
# cmake -DNM=nm -DPLUGIN=x.so -P check_exports.cmake: fails unless the library exports exactly one symbol, the plugin's descriptor.
execute_process(COMMAND ${NM} -D --defined-only --format=posix ${PLUGIN}
                OUTPUT_VARIABLE listing RESULT_VARIABLE status ERROR_VARIABLE errors)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "cannot read ${PLUGIN}: ${errors}")
endif()
string(REGEX MATCHALL "[^\n]+" symbols "${listing}")
list(LENGTH symbols count)
if(NOT count EQUAL 1 OR NOT symbols MATCHES "^fffa_plugin ")
  message(FATAL_ERROR "${PLUGIN} exports ${count} symbols instead of its descriptor alone:\n${listing}")
endif()
