#include "kernels/scale.h"

#include "kernels/check.h"

namespace mglmm {

void check(Scale& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.finite("factor", op.factor);
  check.finite("shift", op.shift);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
}

}  // namespace mglmm
