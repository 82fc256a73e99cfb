#include "kernels/fourier_encoding.h"

#include "kernels/check.h"

namespace mglmm {

void check(FourierEncoding& op) {
  const Check check(op);
  check.floating("points", op.points);
  check.min_rank("points", op.points, 1);
  check.size("points", op.points, -1, 2, "x and y");
  check.rank("gaussian", op.gaussian, 2, "[2, features]");
  check.size("gaussian", op.gaussian, 0, 2, "x and y");
  check.same_dtype("gaussian", op.gaussian, "points", op.points);
  check.output("y", op.y, op.points.shape.with_last(2 * op.gaussian.shape[1]), op.points.dtype);
}

}  // namespace mglmm
