#include "kernels/slice.h"

#include "cuda/strided.cuh"

namespace mglmm::cuda {
namespace {

// Bytes of one row along `axis` and everything after it.
int64_t row_bytes(const TensorRef& tensor, int64_t axis) {
  return tensor.shape.count(static_cast<int>(axis), tensor.shape.rank) * size_of(tensor.dtype);
}

int64_t from_front(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }

}  // namespace

void run(const Slice& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int64_t axis = from_front(op.axis, op.x.shape.rank);
  const int64_t stride = row_bytes(op.x, axis);
  const int64_t taken = row_bytes(op.y, axis);
  const int64_t before = stride / op.x.shape[static_cast<int>(axis)] * op.begin;
  copy_rows(stream, op.y.bytes() / taken, taken, op.x.raw() + before, stride, op.y.raw(), taken);
}

void run(const SliceBackward& op, CudaStream& stream) {
  stream.clear(op.dx.raw(), op.dx.bytes());
  if (op.dy.count() == 0) return;
  const int64_t axis = from_front(op.axis, op.dx.shape.rank);
  const int64_t stride = row_bytes(op.dx, axis);
  const int64_t taken = row_bytes(op.dy, axis);
  const int64_t before = stride / op.size * op.begin;
  copy_rows(stream, op.dy.bytes() / taken, taken, op.dy.raw(), taken, op.dx.raw() + before, stride);
}

}  // namespace mglmm::cuda
