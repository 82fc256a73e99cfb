#include "kernels/gather_rows.h"

#include "cuda/rows.cuh"

namespace mglmm::cuda {

void run(const GatherRows& op, CudaStream& stream) {
  doubt_indices(stream, "gatherRows", "index", op.index, op.x.shape[0]);
  gather_rows(stream, op.x, op.index, op.y);
}

void run(const GatherRowsBackward& op, CudaStream& stream) {
  doubt_indices(stream, "gatherRowsBackward", "index", op.index, op.rows);
  if (!op.dx) return;
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    scatter_rows(stream, op.dy.data<T>(), op.index, op.dx.data<T>(), op.rows, op.dy.shape[1]);
  });
}

}  // namespace mglmm::cuda
