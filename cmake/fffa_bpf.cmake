# SPDX-License-Identifier: MIT
# bpf_object(NAME FILE.bpf.c [INCLUDES dirs...]): compiles a kernel program with clang and makes the interface target NAME, whose include
# directory holds the generated skeleton FILE.skel.h (bpftool gen skeleton): the object is embedded, there is no file to find at run time.
# The skeleton's struct and functions are named FILE_bpf.
# Whoever links NAME links libbpf too. The target property FFFA_BPF_OBJECT is the object's path, for tests that look into it.
find_package(PkgConfig REQUIRED)
pkg_check_modules(libbpf IMPORTED_TARGET "libbpf>=1.0")
find_program(FFFA_CLANG NAMES clang-14 clang clang-15 clang-16 clang-17 clang-18 clang-19 clang-20
             DOC "The clang that compiles kernel programs (12 or newer, with the bpf target)")
find_program(FFFA_BPFTOOL NAMES bpftool PATHS /usr/sbin /usr/local/sbin DOC "Generates the skeletons of kernel programs")

# Says everything that is missing at once, and what installs it.
function(_fffa_bpf_require)
  set(missing)
  if(NOT FFFA_CLANG)
    list(APPEND missing "clang (set FFFA_CLANG to use one that is not on PATH)")
  endif()
  if(NOT FFFA_BPFTOOL)
    list(APPEND missing "bpftool")
  endif()
  if(NOT libbpf_FOUND)
    list(APPEND missing "libbpf 1.0 or newer with its headers")
  endif()
  if(missing)
    list(JOIN missing ", " missing)
    message(FATAL_ERROR "Building the kernel programs needs ${missing}: scripts/setup installs it")
  endif()
  execute_process(COMMAND ${FFFA_CLANG} -print-targets OUTPUT_VARIABLE targets ERROR_QUIET)
  if(NOT targets MATCHES "bpf ")
    message(FATAL_ERROR "${FFFA_CLANG} cannot compile for the kernel (no target bpf): set FFFA_CLANG to one that can")
  endif()
endfunction()

function(bpf_object name source)
  cmake_parse_arguments(arg "" "" "INCLUDES" ${ARGN})
  get_property(checked GLOBAL PROPERTY fffa_bpf_checked)
  if(NOT checked)
    _fffa_bpf_require()
    set_property(GLOBAL PROPERTY fffa_bpf_checked TRUE)
  endif()
  get_filename_component(stem ${source} NAME)
  string(REGEX REPLACE "\\.bpf\\.c$" "" stem ${stem})
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/${name})
  set(object ${directory}/${stem}.bpf.o)
  set(skeleton ${directory}/${stem}.skel.h)
  list(TRANSFORM arg_INCLUDES PREPEND -I OUTPUT_VARIABLE includes)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(target_arch -D__TARGET_ARCH_arm64)
  else()
    set(target_arch -D__TARGET_ARCH_x86)
  endif()
  file(MAKE_DIRECTORY ${directory})
  # <asm/types.h> and friends stand in the multiarch folder, which clang -target bpf does not search by itself
  add_custom_command(OUTPUT ${object}
    COMMAND ${FFFA_CLANG} -g -O2 -target bpf -mcpu=v3 -fno-strict-aliasing ${target_arch} -Wall -Wextra -Werror ${includes}
            -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -MD -MF ${object}.d
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} DEPFILE ${object}.d VERBATIM
    COMMENT "Compiling kernel program ${stem}.bpf.o")
  # moved into place only when complete: a failed run must not leave half a header behind
  add_custom_command(OUTPUT ${skeleton}
    COMMAND sh -c "'${FFFA_BPFTOOL}' gen skeleton '${object}' name '${stem}_bpf' > '${skeleton}.part' && mv '${skeleton}.part' '${skeleton}'"
    DEPENDS ${object} VERBATIM COMMENT "Embedding ${stem}.bpf.o")
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_skeleton)
  set_target_properties(${name} PROPERTIES FFFA_BPF_OBJECT ${object})
  target_include_directories(${name} SYSTEM INTERFACE ${directory})
  target_link_libraries(${name} INTERFACE PkgConfig::libbpf)
endfunction()
