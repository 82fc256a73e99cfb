// Products by vectors of 512 bits: of f32, and at a level that has their dot instructions (AVX512-BF16) of bf16.
#pragma once
#include "cpu/panel_product.h"

namespace mglmm::cpu {

// Whether this level has them.
bool has_vector_product(Dtype dtype);
void vector_product(const PanelProduct& product, const PanelSource& panels, Stream& stream);
// A product of two matrices as multiply() has them, `stack` 1 and b not packed.
void vector_product(const Product& product, const std::byte* a, const std::byte* b, const std::byte* bias, std::byte* y,
                    Stream& stream);

}  // namespace mglmm::cpu
