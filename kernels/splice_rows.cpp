#include "kernels/splice_rows.h"

#include "kernels/check.h"

namespace mglmm {

void check(SpliceRows& op) {
  const Check check(op);
  check.rank("x", op.x, 3, "[batch, seq, dim]");
  check.rank("rows", op.rows, 3, "[batch, n, dim]");
  check.size("rows", op.rows, 0, op.x.shape[0], "the batch of x");
  check.size("rows", op.rows, 2, op.x.shape[2], "the last size of x");
  check.same_dtype("rows", op.rows, "x", op.x);
  check.shape("positions", op.positions, {op.x.shape[0]}, "one for each sequence of x");
  check.dtype("positions", op.positions, Dtype::i32);
  check.require(op.x.shape[1] > 0, "x", to_string(op.x.shape), "at least one row to replace");
  check.output("y", op.y, {op.x.shape[0], op.x.shape[1] - 1 + op.rows.shape[1], op.x.shape[2]}, op.x.dtype);
}

void check(SpliceRowsBackward& op) {
  const Check check(op);
  check.rank("dy", op.dy, 3, "[batch, seq - 1 + n, dim]");
  check.shape("positions", op.positions, {op.dy.shape[0]}, "one for each sequence of dy");
  check.dtype("positions", op.positions, Dtype::i32);
  const int64_t total = op.dy.shape[1];
  check.require(op.count >= 0 && op.count <= total, "count", std::to_string(op.count), "0 to " + std::to_string(total));
  check.output("dx", op.dx, {op.dy.shape[0], total + 1 - op.count, op.dy.shape[2]}, op.dy.dtype);
  check.output("drows", op.drows, {op.dy.shape[0], op.count, op.dy.shape[2]}, op.dy.dtype);
}

}  // namespace mglmm
