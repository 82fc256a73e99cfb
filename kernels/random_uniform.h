// Uniform random numbers: y[i] = low + u * (high - low), u in [0, 1) the top 24 bits of place offset + i (kernels/philox.h).
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct RandomUniform {
  Shape shape;
  Dtype dtype = Dtype::f32;  // f32 | bf16 | f16, rounded from f32
  int64_t seed = 0;          // at least 0
  int64_t offset = 0;        // at least 0
  float low = 0;
  float high = 1;
  Tensor y;  // shape, dtype
  MGLMM_OP(randomUniform, shape, dtype, seed, offset, low, high, y)
};

void check(RandomUniform& op);

}  // namespace mglmm
