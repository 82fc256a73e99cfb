#include "kernels/cast.h"

#include "kernels/check.h"

namespace mglmm {

void check(Cast& op) {
  const Check check(op);
  check.output("y", op.y, op.x.shape, op.dtype, "the shape of x");
}

}  // namespace mglmm
