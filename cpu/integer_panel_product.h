// Products of many rows in bf16 or f16 with a weight in 8 or 4 bits by the dot instructions of bytes (AVX512-VNNI), twice as
// fast as those of bf16. Each group of 128 of a row of x becomes integers in steps of its own: 127 of them reach its largest
// element, or 8 times its mean magnitude where that is less, and what is larger is a sum of several bytes. So no element is
// off by more than half a step, and the few large ones of a group do not make its steps coarse.
#pragma once
#include "cpu/product.h"
#include "cpu/quantized.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// y [rows, out] = x [rows, in] weight^T + bias, all of `dtype`. False, having done nothing, where this level has no such
// instructions, the matrix unit is faster, x is f32, or x holds what is not finite.
bool integer_panel_product(const LinearSizes& sizes, Dtype dtype, const std::byte* x, const QuantizedWeight& weight,
                           const std::byte* bias, std::byte* y, Stream& stream);

}  // namespace mglmm::cpu
