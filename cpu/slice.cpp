#include "kernels/slice.h"

#include <algorithm>
#include <cstring>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// Bytes of one row along `axis` and everything after it.
int64_t row_bytes(const TensorRef& tensor, int64_t axis) {
  return tensor.shape.count(static_cast<int>(axis), tensor.shape.rank) * size_of(tensor.dtype);
}

int64_t from_front(int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }

}  // namespace

void run(const Slice& op, Stream&) {
  if (op.y.count() == 0) return;
  const int64_t axis = from_front(op.axis, op.x.shape.rank);
  const int64_t stride = row_bytes(op.x, axis);
  const int64_t taken = row_bytes(op.y, axis);
  const std::byte* x = op.x.raw() + stride / op.x.shape[static_cast<int>(axis)] * op.begin;
  std::byte* y = op.y.raw();
  parallel_ranges(op.y.bytes() / taken, std::max<int64_t>(1, 4 * kElementGrain / taken), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) std::memcpy(y + row * taken, x + row * stride, static_cast<size_t>(taken));
  });
}

void run(const SliceBackward& op, Stream&) {
  if (op.dx.count() == 0) return;
  const int64_t axis = from_front(op.axis, op.dx.shape.rank);
  const int64_t stride = row_bytes(op.dx, axis);
  const int64_t taken = row_bytes(op.dy, axis);
  const int64_t before = stride / op.size * op.begin;
  const std::byte* dy = op.dy.raw();
  std::byte* dx = op.dx.raw();
  parallel_ranges(op.dx.bytes() / stride, std::max<int64_t>(1, 4 * kElementGrain / stride), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::byte* to = dx + row * stride;
      std::memset(to, 0, static_cast<size_t>(before));
      if (taken > 0) std::memcpy(to + before, dy + row * taken, static_cast<size_t>(taken));
      std::memset(to + before + taken, 0, static_cast<size_t>(stride - before - taken));
    }
  });
}

}  // namespace mglmm::cpu
