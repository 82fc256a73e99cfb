#include "kernels/splice_rows.h"

#include "cuda/rows.cuh"

namespace mglmm::cuda {
namespace {

// Sequences of `seq` rows, of which the one at `position` makes way for `n` others. A position out of range, which is
// refused, is taken for the nearest that there is.
struct Places {
  const int32_t* positions;
  int64_t seq, n, row_bytes;
  __device__ int64_t position(int64_t image) const {
    const int64_t at = positions[image];
    return at < 0 ? 0 : at < seq ? at : seq - 1;
  }
  __device__ int64_t total() const { return seq - 1 + n; }
};

struct Spliced {
  Places places;
  const std::byte* x;
  const std::byte* rows;
  __device__ const std::byte* operator()(int64_t row) const {
    const int64_t image = row / places.total();
    const int64_t at = row % places.total();
    const int64_t position = places.position(image);
    if (at >= position && at < position + places.n) return rows + (image * places.n + at - position) * places.row_bytes;
    return x + (image * places.seq + (at < position ? at : at - places.n + 1)) * places.row_bytes;
  }
};
struct BackToSequence {
  Places places;
  const std::byte* dy;
  __device__ const std::byte* operator()(int64_t row) const {
    const int64_t image = row / places.seq;
    const int64_t at = row % places.seq;
    const int64_t position = places.position(image);
    if (at == position) return nullptr;
    return dy + (image * places.total() + (at < position ? at : at + places.n - 1)) * places.row_bytes;
  }
};
struct BackToRows {
  Places places;
  const std::byte* dy;
  __device__ const std::byte* operator()(int64_t row) const {
    const int64_t image = row / places.n;
    return dy + (image * places.total() + places.position(image) + row % places.n) * places.row_bytes;
  }
};

}  // namespace

void run(const SpliceRows& op, CudaStream& stream) {
  const int64_t seq = op.x.shape[1];
  doubt_indices(stream, "spliceRows", "positions", op.positions, seq);
  const Places places{op.positions.data<int32_t>(), seq, op.rows.shape[1], op.x.shape[2] * size_of(op.x.dtype)};
  move_rows(stream, op.y.shape[0] * op.y.shape[1], places.row_bytes, op.y.raw(), Spliced{places, op.x.raw(), op.rows.raw()},
            op.x.raw(), op.rows.raw());
}

void run(const SpliceRowsBackward& op, CudaStream& stream) {
  const int64_t batch = op.dy.shape[0];
  const int64_t seq = op.dy.shape[1] + 1 - op.count;
  const std::byte* dy = op.dy.raw();
  doubt_indices(stream, "spliceRowsBackward", "positions", op.positions, seq);
  const Places places{op.positions.data<int32_t>(), seq, op.count, op.dy.shape[2] * size_of(op.dy.dtype)};
  if (op.dx) move_rows(stream, batch * seq, places.row_bytes, op.dx.raw(), BackToSequence{places, dy}, dy);
  if (op.drows) move_rows(stream, batch * op.count, places.row_bytes, op.drows.raw(), BackToRows{places, dy}, dy);
}

}  // namespace mglmm::cuda
