// c[m][n] = sum over k of a[m][k] * b[k][n], lanes along n, in f32: a block of rows x vectors stays in registers while k
// runs, so each result is one chain of sums in the order of k, whatever the blocking.
#pragma once
#include <cstdint>

#include "cpu/simd.h"

namespace mglmm::cpu {

inline constexpr int kBlockVectors = 3;
#if defined(__AVX512F__)
inline constexpr int kBlockRows = 8;  // 8 x 3 sums, 3 of b, and a broadcast from memory: 32 registers
#else
inline constexpr int kBlockRows = 4;
#endif

// `a` is read at a[m * row + k * step].
struct Left {
  const float* data;
  int64_t row, step;
};

enum class Start { zero, sum, scaled };  // what the sums begin with: 0, c, or c * factor (one a column)

template <int kRows, int kVectors, Start kStart>
[[gnu::always_inline]] inline void product_block(const float* a, int64_t row, int64_t step, const float* b, int64_t b_stride,
                                                 int64_t depth, float* c, int64_t c_stride, const vfloat* factor) {
  vfloat sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      if constexpr (kStart == Start::zero)
        sums[r][n] = vfloat{};
      else
        sums[r][n] = load(c + r * c_stride + n * kLanes);
      if constexpr (kStart == Start::scaled) sums[r][n] *= factor[n];
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    vfloat right[kVectors];
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) right[n] = load(b + n * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const vfloat left = splat(a[r * row]);
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) sums[r][n] += left * right[n];
    }
    a += step;
    b += b_stride;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) store(c + r * c_stride + n * kLanes, sums[r][n]);
  }
}

template <int kVectors, Start kStart, int kRows = kBlockRows>
[[gnu::always_inline]] inline void product_rows(Left a, int64_t m, int64_t rows, const float* b, int64_t b_stride,
                                                int64_t depth, float* c, int64_t c_stride, const vfloat* factor) {
  for (; m + kRows <= rows; m += kRows) {
    product_block<kRows, kVectors, kStart>(a.data + m * a.row, a.row, a.step, b, b_stride, depth, c + m * c_stride, c_stride,
                                           factor);
  }
  if constexpr (kRows > 1) product_rows<kVectors, kStart, kRows / 2>(a, m, rows, b, b_stride, depth, c, c_stride, factor);
}

// `rows` x kVectors * kLanes results. The three forms differ in which of a's strides the compiler knows.
template <int kVectors, Start kStart>
void product(Left a, int64_t rows, const float* b, int64_t b_stride, int64_t depth, float* c, int64_t c_stride,
             const vfloat* factor = nullptr) {
  if (a.row == 1) {
    product_rows<kVectors, kStart>({a.data, 1, a.step}, 0, rows, b, b_stride, depth, c, c_stride, factor);
  } else {
    product_rows<kVectors, kStart>({a.data, a.row, 1}, 0, rows, b, b_stride, depth, c, c_stride, factor);
  }
}

// The same for any number of vectors.
template <Start kStart>
void product_wide(Left a, int64_t rows, const float* b, int64_t b_stride, int64_t depth, float* c, int64_t c_stride,
                  int64_t vectors) {
  for (int64_t n = 0; n < vectors; n += kBlockVectors) {
    const float* right = b + n * kLanes;
    float* to = c + n * kLanes;
    switch (vectors - n) {
      case 1: product<1, kStart>(a, rows, right, b_stride, depth, to, c_stride); break;
      case 2: product<2, kStart>(a, rows, right, b_stride, depth, to, c_stride); break;
      default: product<3, kStart>(a, rows, right, b_stride, depth, to, c_stride); break;
    }
  }
}

}  // namespace mglmm::cpu
