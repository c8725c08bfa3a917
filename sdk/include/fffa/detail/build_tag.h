// SPDX-License-Identifier: MIT
// What a plugin was built with, as text in an ELF section that the host reads before it loads the library (static
// initialisers run at dlopen, before any descriptor could be asked). Tags must be equal: std:: types cross the
// boundary.
#pragma once

#include <version>

#define FFFA_ABI_VERSION 3

#define FFFA_DETAIL_STR2(x) #x
#define FFFA_DETAIL_STR(x) FFFA_DETAIL_STR2(x)

#if defined(__x86_64__)
#define FFFA_DETAIL_ARCH "x86_64"
#elif defined(__aarch64__)
#define FFFA_DETAIL_ARCH "aarch64"
#else
#error "fffa is built for x86_64 and aarch64"
#endif

#if defined(_GLIBCXX_RELEASE)
#define FFFA_DETAIL_STDLIB "libstdc++-" FFFA_DETAIL_STR(_GLIBCXX_RELEASE)
#define FFFA_DETAIL_CXX11 FFFA_DETAIL_STR(_GLIBCXX_USE_CXX11_ABI)
#elif defined(_LIBCPP_VERSION)
#define FFFA_DETAIL_STDLIB "libc++-" FFFA_DETAIL_STR(_LIBCPP_VERSION)
#define FFFA_DETAIL_CXX11 "-"
#else
#error "unknown C++ standard library"
#endif

#if defined(_GLIBCXX_DEBUG)
#define FFFA_DETAIL_DEBUG "1"
#else
#define FFFA_DETAIL_DEBUG "0"
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FFFA_DETAIL_SANITIZER "address"
#elif __has_feature(thread_sanitizer)
#define FFFA_DETAIL_SANITIZER "thread"
#endif
#endif
#if !defined(FFFA_DETAIL_SANITIZER)
#if defined(__SANITIZE_ADDRESS__)
#define FFFA_DETAIL_SANITIZER "address"
#elif defined(__SANITIZE_THREAD__)
#define FFFA_DETAIL_SANITIZER "thread"
#else
#define FFFA_DETAIL_SANITIZER "none"
#endif
#endif

// "fffa-build-tag abi=2 arch=x86_64 stdlib=libstdc++-12 cxx11_abi=1 debug=0 sanitizer=none"
#define FFFA_BUILD_TAG                                                                                                \
  "fffa-build-tag abi=" FFFA_DETAIL_STR(FFFA_ABI_VERSION) " arch=" FFFA_DETAIL_ARCH " stdlib=" FFFA_DETAIL_STDLIB     \
                                                          " cxx11_abi=" FFFA_DETAIL_CXX11 " debug=" FFFA_DETAIL_DEBUG \
                                                          " sanitizer=" FFFA_DETAIL_SANITIZER

// The section of a plugin that holds its FFFA_BUILD_TAG, ended by a zero byte.
#define FFFA_BUILD_TAG_SECTION ".fffa_build_tag"
