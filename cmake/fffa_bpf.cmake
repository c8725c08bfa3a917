# bpf_object(NAME FILE.bpf.c [INCLUDES dirs...]): compiles a kernel program with clang and makes the interface target NAME, whose include
# directory holds the generated skeleton FILE.skel.h (bpftool gen skeleton): the object is embedded, there is no file to find at run time.
find_program(FFFA_CLANG NAMES clang-14 clang clang-15 clang-16 clang-17 clang-18 clang-19)
find_program(FFFA_BPFTOOL NAMES bpftool PATHS /usr/sbin /usr/local/sbin)
function(bpf_object name source)
  cmake_parse_arguments(arg "" "" "INCLUDES" ${ARGN})
  if(NOT FFFA_CLANG OR NOT FFFA_BPFTOOL)
    message(FATAL_ERROR "clang and bpftool are needed to build the kernel programs: scripts/setup installs them")
  endif()
  get_filename_component(stem ${source} NAME)
  string(REGEX REPLACE "\\.bpf\\.c$" "" stem ${stem})
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/${name})
  set(object ${directory}/${stem}.bpf.o)
  set(skeleton ${directory}/${stem}.skel.h)
  set(includes)
  foreach(include ${arg_INCLUDES})
    list(APPEND includes -I${include})
  endforeach()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(target_arch -D__TARGET_ARCH_arm64)
  else()
    set(target_arch -D__TARGET_ARCH_x86)
  endif()
  # <asm/types.h> and friends stand in the multiarch folder, which clang -target bpf does not search by itself
  file(MAKE_DIRECTORY ${directory})
  add_custom_command(OUTPUT ${object}
    COMMAND ${FFFA_CLANG} -g -O2 -target bpf -mcpu=v3 ${target_arch} -Wall -Wextra -Werror ${includes}
            -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -MD -MF ${object}.d
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d VERBATIM
    COMMENT "Compiling kernel program ${stem}.bpf.o")
  add_custom_command(OUTPUT ${skeleton}
    COMMAND sh -c "'${FFFA_BPFTOOL}' gen skeleton '${object}' name ${stem} > '${skeleton}'"
    DEPENDS ${object} VERBATIM COMMENT "Embedding ${stem}.bpf.o")
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_skeleton)
  target_include_directories(${name} SYSTEM INTERFACE ${directory})
endfunction()
