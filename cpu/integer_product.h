// Products of a few rows with a weight in 8 or 4 bits by the dot instructions of bytes (AVX512-VNNI), bound by reading the
// weight. No accuracy is given up for them: each group of 128 of x becomes integers of 23 bits in steps of a power of two,
// taken apart into three signed bytes, and their products with the values add up exactly.
#pragma once
#include "cpu/product.h"
#include "cpu/quantized.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// y [rows, out] = x weight^T + bias for x [rows, padded_in] in f32. False, having done nothing, where this level has no such
// instructions or x holds what is not finite.
bool integer_product(const LinearSizes& sizes, const float* x, const QuantizedWeight& weight, Dtype dtype,
                     const std::byte* bias, std::byte* y, Stream& stream);

}  // namespace mglmm::cpu
