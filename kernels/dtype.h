// Element types. f32, bf16, f16 are storage; arithmetic is f32 everywhere. i32 holds ids and counts, u8 pixels and bits.
#pragma once
#include <bit>
#include <cstdint>
#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace mglmm {

enum class Dtype : uint8_t { f32, bf16, f16, i32, u8 };

constexpr int64_t size_of(Dtype dtype) {
  return dtype == Dtype::u8 ? 1 : (dtype == Dtype::bf16 || dtype == Dtype::f16) ? 2 : 4;
}
constexpr const char* to_string(Dtype dtype) {
  constexpr const char* names[] = {"f32", "bf16", "f16", "i32", "u8"};
  return names[static_cast<int>(dtype)];
}
constexpr bool is_floating(Dtype dtype) { return dtype <= Dtype::f16; }

// The upper half of an f32, rounded to nearest even; NaN stays NaN.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  bf16(float value) {  // NOLINT(google-explicit-constructor): storage converts as a number does
    const auto word = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
    bits = static_cast<uint16_t>(value != value ? (word >> 16) | 0x40 : rounded);
  }
  operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }  // NOLINT
};

// IEEE 754 binary16, rounded to nearest even; overflow becomes infinity.
struct f16 {
  uint16_t bits = 0;
  f16() = default;
  f16(float value) {  // NOLINT(google-explicit-constructor)
#if defined(__F16C__)
    bits = static_cast<uint16_t>(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
#else
    const auto word = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (word >> 16) & 0x8000;
    const uint32_t magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      bits = static_cast<uint16_t>(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
    } else if (magnitude >= 0x477ff000) {  // 65520 and above round to infinity
      bits = static_cast<uint16_t>(sign | 0x7c00);
    } else if (magnitude >= 0x38800000) {  // normal in f16
      const uint32_t rebased = magnitude - 0x38000000;
      bits = static_cast<uint16_t>(sign | ((rebased + 0xfff + ((rebased >> 13) & 1)) >> 13));
    } else {  // subnormal: adding 0.5 aligns the mantissa so that the FPU rounds for us
      const float aligned = std::bit_cast<float>(magnitude) + 0.5F;
      bits = static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(aligned) - 0x3f000000));
    }
#endif
  }
  operator float() const {  // NOLINT
#if defined(__F16C__)
    return _cvtsh_ss(bits);
#else
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
    if (magnitude >= 0x0f800000) return std::bit_cast<float>(sign | (magnitude + 0x70000000));  // infinity, NaN
    if (magnitude >= 0x00800000) return std::bit_cast<float>(sign | (magnitude + 0x38000000));
    const float subnormal = std::bit_cast<float>(magnitude + 0x38800000) - std::bit_cast<float>(0x38800000U);
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(subnormal));
#endif
  }
};

template <typename T>
struct Type {
  using type = T;
};

// Calls `body(Type<T>{})` with the C++ type of a floating dtype. check() has refused all others before.
template <typename Body>
void by_dtype(Dtype dtype, Body&& body) {
  switch (dtype) {
    case Dtype::bf16: return body(Type<bf16>{});
    case Dtype::f16: return body(Type<f16>{});
    default: return body(Type<float>{});
  }
}

// Calls `body(Type<T>{})` with an integer type of the element's width: for ops that move elements and never look at them.
template <typename Body>
void by_width(Dtype dtype, Body&& body) {
  switch (size_of(dtype)) {
    case 1: return body(Type<uint8_t>{});
    case 2: return body(Type<uint16_t>{});
    default: return body(Type<uint32_t>{});
  }
}

}  // namespace mglmm
