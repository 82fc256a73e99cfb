// Products of a few rows, bound by reading the weight: y [rows, out] = x [rows, in] weight^T + bias, each weight read once.
#pragma once
#include "cpu/product.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

inline constexpr int64_t kFewRows = 4;  // from here on the matrix units win, though they read no faster

void row_product(const LinearSizes& sizes, Dtype dtype, const std::byte* x, const TensorRef& weight, const std::byte* bias,
                 std::byte* y, Stream& stream);

// x [rows, in] as f32 [rows, padded_in], padded with 0.
float* padded_rows(const LinearSizes& sizes, Dtype dtype, const std::byte* x, int64_t padded_in, Stream& stream);

}  // namespace mglmm::cpu
