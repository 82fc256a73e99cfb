#include "kernels/concat.h"

#include <algorithm>

#include "cuda/strided.cuh"

namespace mglmm::cuda {

void run(const Concat& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int rank = op.y.shape.rank;
  const int axis = static_cast<int>(op.axis < 0 ? op.axis + rank : op.axis);
  const int64_t stride = op.y.shape.count(axis, rank) * size_of(op.y.dtype);
  const int64_t rows = op.y.bytes() / stride;
  std::byte* y = op.y.raw();
  // One tensor over and over, along the first axis.
  const ConstTensor& only = op.xs[0];
  const bool repeats = rows == 1 && std::all_of(op.xs.begin(), op.xs.end(), [&](const ConstTensor& x) {
                         return x.raw() == only.raw() && x.bytes() == only.bytes();
                       });
  if (repeats) return copy_rows(stream, static_cast<int64_t>(op.xs.size()), only.bytes(), only.raw(), 0, y, only.bytes());
  for (const ConstTensor& x : op.xs) {
    const int64_t taken = x.bytes() / rows;
    copy_rows(stream, rows, taken, x.raw(), taken, y, stride);
    y += taken;
  }
}

}  // namespace mglmm::cuda
