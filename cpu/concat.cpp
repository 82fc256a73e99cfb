#include "kernels/concat.h"

#include <algorithm>
#include <cstring>

#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Concat& op, Stream&) {
  if (op.y.count() == 0) return;
  const int rank = op.y.shape.rank;
  const int axis = static_cast<int>(op.axis < 0 ? op.axis + rank : op.axis);
  const int64_t stride = op.y.shape.count(axis, rank) * size_of(op.y.dtype);
  const int64_t rows = op.y.bytes() / stride;
  std::byte* y = op.y.raw();
  for (const ConstTensor& x : op.xs) {
    const int64_t taken = x.bytes() / rows;
    if (taken == 0) continue;
    const std::byte* from = x.raw();
    parallel_ranges(rows, std::max<int64_t>(1, 4 * kElementGrain / taken), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        std::memcpy(y + row * stride, from + row * taken, static_cast<size_t>(taken));
    });
    y += taken;
  }
}

}  // namespace mglmm::cpu
