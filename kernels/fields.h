// MGLMM_OP(name, field...) closes an op's struct: it names the op and lets the binding visit the fields in order.
// clang-format off
#pragma once
#include <string_view>

#define MGLMM_PARENS ()
#define MGLMM_EXPAND(...) MGLMM_EXPAND3(MGLMM_EXPAND3(MGLMM_EXPAND3(MGLMM_EXPAND3(__VA_ARGS__))))
#define MGLMM_EXPAND3(...) MGLMM_EXPAND2(MGLMM_EXPAND2(MGLMM_EXPAND2(MGLMM_EXPAND2(__VA_ARGS__))))
#define MGLMM_EXPAND2(...) MGLMM_EXPAND1(MGLMM_EXPAND1(MGLMM_EXPAND1(MGLMM_EXPAND1(__VA_ARGS__))))
#define MGLMM_EXPAND1(...) __VA_ARGS__
#define MGLMM_VISIT(field, ...) visit(#field, field); __VA_OPT__(MGLMM_VISIT_AGAIN MGLMM_PARENS(__VA_ARGS__))
#define MGLMM_VISIT_AGAIN() MGLMM_VISIT

#define MGLMM_OP(op_name, ...)                           \
  static constexpr std::string_view name = #op_name;     \
  template <typename Visit>                              \
  void fields(Visit&& visit) {                           \
    MGLMM_EXPAND(MGLMM_VISIT(__VA_ARGS__))               \
  }
