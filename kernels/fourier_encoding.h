// Random Fourier features of points: y = [sin(2 pi v), cos(2 pi v)], v = (2 points - 1) gaussian. SAM's position encoding,
// Kirillov et al. 2023, arXiv 2304.02643; Tancik et al. 2020, arXiv 2006.10739.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

struct FourierEncoding {
  ConstTensor points;    // [..., 2]  x and y within [0, 1], f32 | bf16 | f16
  ConstTensor gaussian;  // [2, features]  dtype of points
  Tensor y;              // [..., 2 features]  dtype of points
  MGLMM_OP(fourierEncoding, points, gaussian, y)
};

void check(FourierEncoding& op);

}  // namespace mglmm
