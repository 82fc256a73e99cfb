// Masks as bits, 8 pixels a byte: bit k of byte b of a row is pixel 8 b + k, set where the value is above `threshold`. Each
// row is padded with zeros to a multiple of 64 bits.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

// Bytes of a row of `width` pixels as bits.
constexpr int64_t bit_row_bytes(int64_t width) { return (width + 63) / 64 * 8; }

struct PackBits {
  ConstTensor masks;     // [..., height, width]  u8, or logits in f32 | bf16 | f16
  double threshold = 0;  // NaN is not above it
  Tensor bits;           // [..., height, 8 ceil(width / 64)]  u8
  MGLMM_OP(packBits, masks, threshold, bits)
};

void check(PackBits& op);

}  // namespace mglmm
