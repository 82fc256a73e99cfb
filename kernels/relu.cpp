#include "kernels/relu.h"

#include "kernels/check.h"

namespace mglmm {

void check(Relu& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
}

void check(ReluBackward& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.same("dy", op.dy, "x", op.x);
  check.output("dx", op.dx, op.x.shape, op.x.dtype, "the shape of x");
}

}  // namespace mglmm
