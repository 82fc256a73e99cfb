#include "kernels/softmax.h"

#include "kernels/check.h"

namespace mglmm {

void check(Softmax& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
}

void check(SoftmaxBackward& op) {
  const Check check(op);
  check.floating("y", op.y);
  check.min_rank("y", op.y, 1);
  check.same("dy", op.dy, "y", op.y);
  check.output("dx", op.dx, op.y.shape, op.y.dtype, "the shape of y");
}

}  // namespace mglmm
