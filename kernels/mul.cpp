#include "kernels/mul.h"

#include "kernels/check.h"

namespace mglmm {

void check(Mul& op) {
  const Check check(op);
  check.floating("a", op.a);
  check.broadcasts("b", op.b, "a", op.a);
  check.same_dtype("b", op.b, "a", op.a);
  check.output("y", op.y, op.a.shape, op.a.dtype, "the shape of a");
}

void check(MulBackward& op) {
  const Check check(op);
  check.floating("a", op.a);
  check.broadcasts("b", op.b, "a", op.a);
  check.same_dtype("b", op.b, "a", op.a);
  check.same("dy", op.dy, "a", op.a);
  check.output("da", op.da, op.a.shape, op.a.dtype, "the shape of a");
  check.output("db", op.db, op.b.shape, op.a.dtype, "the shape of b");
}

}  // namespace mglmm
