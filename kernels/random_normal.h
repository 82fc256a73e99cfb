// Normal random numbers: y[i] = mean + std * z, z of the pair of places that place offset + i is in, the cosine at even
// places and the sine at odd ones (kernels/philox.h).
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct RandomNormal {
  Shape shape;
  Dtype dtype = Dtype::f32;  // f32 | bf16 | f16, rounded from f32
  int64_t seed = 0;          // at least 0
  int64_t offset = 0;        // at least 0
  float mean = 0;
  float std = 1;
  Tensor y;  // shape, dtype
  MGLMM_OP(randomNormal, shape, dtype, seed, offset, mean, std, y)
};

void check(RandomNormal& op);

}  // namespace mglmm
