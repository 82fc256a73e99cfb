#include "kernels/splice_rows.h"

#include "cpu/rows.h"

namespace mglmm::cpu {
namespace {

void move_bytes(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

}  // namespace

void run(const SpliceRows& op, Stream&) {
  const int64_t seq = op.x.shape[1];
  expect_indices("spliceRows", "positions", op.positions, seq);
  if (op.y.count() == 0) return;
  const int64_t row = op.x.shape[2] * size_of(op.x.dtype);
  const int64_t n = op.rows.shape[1];
  parallel_pieces(op.x.shape[0], [&](int64_t image) {
    const int64_t position = op.positions.data<int32_t>()[image];
    const std::byte* x = op.x.raw() + image * seq * row;
    std::byte* y = op.y.raw() + image * (seq - 1 + n) * row;
    move_bytes(y, x, position * row);
    move_bytes(y + position * row, op.rows.raw() + image * n * row, n * row);
    move_bytes(y + (position + n) * row, x + (position + 1) * row, (seq - 1 - position) * row);
  });
}

void run(const SpliceRowsBackward& op, Stream&) {
  const int64_t total = op.dy.shape[1];
  const int64_t n = op.count;
  const int64_t seq = total + 1 - n;
  expect_indices("spliceRowsBackward", "positions", op.positions, seq);
  const int64_t row = op.dy.shape[2] * size_of(op.dy.dtype);
  if (row == 0) return;
  parallel_pieces(op.dy.shape[0], [&](int64_t image) {
    const int64_t position = op.positions.data<int32_t>()[image];
    const std::byte* dy = op.dy.raw() + image * total * row;
    if (op.dx) {
      std::byte* dx = op.dx.raw() + image * seq * row;
      move_bytes(dx, dy, position * row);
      std::memset(dx + position * row, 0, static_cast<size_t>(row));
      move_bytes(dx + (position + 1) * row, dy + (position + n) * row, (seq - 1 - position) * row);
    }
    if (op.drows) move_bytes(op.drows.raw() + image * n * row, dy + position * row, n * row);
  });
}

}  // namespace mglmm::cpu
