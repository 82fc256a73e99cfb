// Products by the dot instructions of AVX512-BF16.
#pragma once
#include "cpu/panel_product.h"

namespace mglmm::cpu {

// Whether this level has them.
bool has_dots();
void dot_product(const PanelProduct& product, const PanelSource& panels, Stream& stream);
// A product of two matrices in bf16, as multiply() has them, `stack` 1 and b not packed.
void dot_product(const Product& product, const bf16* a, const bf16* b, const bf16* bias, std::byte* y, Stream& stream);

}  // namespace mglmm::cpu
