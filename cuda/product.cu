#include "cuda/product.h"

#include "cuda/rows.cuh"

namespace mglmm::cuda {
namespace {

struct SameRow {
  const std::byte* row;
  __device__ const std::byte* operator()(int64_t) const { return row; }
};

}  // namespace

void product(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
             std::byte* y) {
  const int64_t rows = p.stack * p.rows;
  const int64_t row_bytes = p.columns * size_of(p.result);
  if (rows * row_bytes == 0) return;
  if (p.inner > 0)
    multiply(stream, p, a, b, bias, y);
  else if (bias == nullptr)
    stream.clear(y, rows * row_bytes);
  else
    move_rows(stream, rows, row_bytes, y, SameRow{bias}, bias);
}

}  // namespace mglmm::cuda
