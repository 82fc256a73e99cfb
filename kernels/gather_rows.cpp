#include "kernels/gather_rows.h"

#include "kernels/check.h"

namespace mglmm {

void check(GatherRows& op) {
  const Check check(op);
  check.rank("x", op.x, 2, "[rows, dim]");
  check.rank("index", op.index, 1, "[n]");
  check.dtype("index", op.index, Dtype::i32);
  check.output("y", op.y, {op.index.shape[0], op.x.shape[1]}, op.x.dtype, "a row for each of index");
}

void check(GatherRowsBackward& op) {
  const Check check(op);
  check.floating("dy", op.dy);
  check.rank("dy", op.dy, 2, "[n, dim]");
  check.rank("index", op.index, 1, "[n]");
  check.dtype("index", op.index, Dtype::i32);
  check.size("dy", op.dy, 0, op.index.shape[0], "the size of index");
  check.require(op.rows >= 0, "rows", std::to_string(op.rows), "at least 0");
  check.output("dx", op.dx, {op.rows, op.dy.shape[1]}, op.dy.dtype);
}

}  // namespace mglmm
