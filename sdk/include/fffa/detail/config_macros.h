// SPDX-License-Identifier: MIT
// FFFA_CONFIG and FFFA_ENUM: a loop over parenthesised entries, by __VA_OPT__ recursion.
#pragma once

#define FFFA_DETAIL_PARENS ()
#define FFFA_DETAIL_EXPAND(...) \
  FFFA_DETAIL_EXPAND4(FFFA_DETAIL_EXPAND4(FFFA_DETAIL_EXPAND4(FFFA_DETAIL_EXPAND4(__VA_ARGS__))))
#define FFFA_DETAIL_EXPAND4(...) \
  FFFA_DETAIL_EXPAND3(FFFA_DETAIL_EXPAND3(FFFA_DETAIL_EXPAND3(FFFA_DETAIL_EXPAND3(__VA_ARGS__))))
#define FFFA_DETAIL_EXPAND3(...) \
  FFFA_DETAIL_EXPAND2(FFFA_DETAIL_EXPAND2(FFFA_DETAIL_EXPAND2(FFFA_DETAIL_EXPAND2(__VA_ARGS__))))
#define FFFA_DETAIL_EXPAND2(...) \
  FFFA_DETAIL_EXPAND1(FFFA_DETAIL_EXPAND1(FFFA_DETAIL_EXPAND1(FFFA_DETAIL_EXPAND1(__VA_ARGS__))))
#define FFFA_DETAIL_EXPAND1(...) __VA_ARGS__
#define FFFA_DETAIL_FOR_EACH(macro, ...) __VA_OPT__(FFFA_DETAIL_EXPAND(FFFA_DETAIL_STEP(macro, __VA_ARGS__)))
#define FFFA_DETAIL_STEP(macro, entry, ...) \
  macro entry __VA_OPT__(FFFA_DETAIL_AGAIN FFFA_DETAIL_PARENS(macro, __VA_ARGS__))
#define FFFA_DETAIL_AGAIN() FFFA_DETAIL_STEP

#define FFFA_DETAIL_FIELD(member, doc, ...) visitor(#member, config.member, doc __VA_OPT__(, ) __VA_ARGS__);
#define FFFA_DETAIL_CHOICE(enumerator, name, doc) visitor(Enumeration::enumerator, name, doc);

// Both stand in the namespace of the type, outside any class.
#define FFFA_CONFIG(Type, ...)                                                                \
  template <typename Visitor>                                                                 \
  void fffa_visit_config([[maybe_unused]] Type& config, [[maybe_unused]] Visitor&& visitor) { \
    FFFA_DETAIL_FOR_EACH(FFFA_DETAIL_FIELD, __VA_ARGS__)                                      \
  }
#define FFFA_ENUM(Type, ...)                              \
  template <typename Visitor>                             \
  void fffa_visit_enum(Type, Visitor&& visitor) {         \
    using Enumeration = Type;                             \
    FFFA_DETAIL_FOR_EACH(FFFA_DETAIL_CHOICE, __VA_ARGS__) \
  }
