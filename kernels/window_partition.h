// A map cut into square windows, and windows put back: the windowed blocks of SAM's image encoder (Kirillov et al. 2023,
// arXiv 2304.02643). The map is padded at the bottom and right to a multiple of the window. Each is the other's backward.
#pragma once
#include "kernels/fields.h"
#include "kernels/tensor.h"

namespace mglmm {

// How many cover `size` tokens.
inline int64_t windows_along(int64_t size, int64_t window) { return size == 0 ? 0 : (size - 1) / window + 1; }

struct WindowPartition {
  ConstTensor x;        // [batch, height, width, dim]  any dtype
  MaybeTensor padding;  // [dim]  dtype of x: the tokens beyond the map; absent: zeros
  int64_t window = 0;   // at least 1
  Tensor y;             // [batch * ceil(height / window) * ceil(width / window), window, window, dim]  row by row
  MGLMM_OP(windowPartition, x, padding, window, y)
};

struct WindowUnpartition {
  ConstTensor x;  // [batch * ceil(height / window) * ceil(width / window), window, window, dim]  any dtype
  int64_t height = 0;
  int64_t width = 0;
  Tensor y;  // [batch, height, width, dim]  the padding is dropped
  MGLMM_OP(windowUnpartition, x, height, width, y)
};

void check(WindowPartition& op);
void check(WindowUnpartition& op);

}  // namespace mglmm
