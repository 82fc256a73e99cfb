#include "kernels/add.h"

#include "kernels/check.h"

namespace mglmm {

void check(Add& op) {
  const Check check(op);
  check.floating("a", op.a);
  check.broadcasts("b", op.b, "a", op.a);
  check.same_dtype("b", op.b, "a", op.a);
  check.output("y", op.y, op.a.shape, op.a.dtype, "the shape of a");
}

}  // namespace mglmm
