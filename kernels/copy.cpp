#include "kernels/copy.h"

#include "kernels/check.h"

namespace mglmm {

void check(Copy& op) {
  const Check check(op);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
}

}  // namespace mglmm
