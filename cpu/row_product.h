// Products of a few rows, bound by reading the weight: y [rows, out] = x [rows, in] weight^T + bias + residual, each weight
// read once.
#pragma once
#include <type_traits>

#include "cpu/product.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

inline constexpr int64_t kFewRows = 4;  // from here on the matrix units win, though they read no faster

// `bias` and `residual` [rows, out] may be null.
void row_product(const LinearSizes& sizes, Dtype dtype, const std::byte* x, const TensorRef& weight, const std::byte* bias,
                 const std::byte* residual, std::byte* y, Stream& stream);

// x [rows, in] as f32 [rows, padded_in], padded with 0.
float* padded_rows(const LinearSizes& sizes, Dtype dtype, const std::byte* x, int64_t padded_in, Stream& stream);

// Calls `body(n, first)` with n an integral_constant: rows in groups of at most 4, as many as registers hold sums of.
template <typename Body>
void by_rows(int64_t rows, Body&& body) {
  for (int64_t row = 0; row < rows; row += 4) {
    switch (rows - row) {
      case 1: body(std::integral_constant<int, 1>{}, row); break;
      case 2: body(std::integral_constant<int, 2>{}, row); break;
      case 3: body(std::integral_constant<int, 3>{}, row); break;
      default: body(std::integral_constant<int, 4>{}, row); break;
    }
  }
}

inline constexpr int64_t kWeightGrain = 65536;  // weights under which a second thread is not worth waking

}  // namespace mglmm::cpu
