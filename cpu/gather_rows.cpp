#include "kernels/gather_rows.h"

#include "cpu/rows.h"

namespace mglmm::cpu {

void run(const GatherRows& op, Stream&) {
  expect_indices("gatherRows", "index", op.index, op.x.shape[0]);
  if (op.y.count() == 0) return;
  gather_rows(op.x.raw(), op.index, op.y.raw(), op.x.shape[1] * size_of(op.x.dtype));
}

void run(const GatherRowsBackward& op, Stream& stream) {
  expect_indices("gatherRowsBackward", "index", op.index, op.rows);
  if (!op.dx || op.dx.count() == 0) return;
  by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
    scatter_rows(op.dy.data<T>(), op.index, op.dx.data<T>(), op.rows, op.dy.shape[1], stream);
  });
}

}  // namespace mglmm::cpu
