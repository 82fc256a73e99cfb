#include "kernels/matmul.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

// The shape of y.
template <typename Op>
Shape check_operands(const Check& check, const Op& op) {
  check.floating("a", op.a);
  check.min_rank("a", op.a, 2);
  check.same_dtype("b", op.b, "a", op.a);
  check.min_rank("b", op.b, 2);
  check.size("b", op.b, op.transposeB ? -1 : -2, op.a.shape[op.transposeA ? -2 : -1], "the inner size of a");
  const Shape& longer = op.a.shape.rank >= op.b.shape.rank ? op.a.shape : op.b.shape;
  Shape stack;
  for (int axis = 0; axis < longer.rank - 2; ++axis) stack.push(longer[axis]);
  if (op.a.shape.rank > 2 && op.b.shape.rank > 2) {
    Shape expected;
    for (int axis = 0; axis < op.a.shape.rank - 2; ++axis) expected.push(op.a.shape[axis]);
    expected.push(op.b.shape[-2]);
    expected.push(op.b.shape[-1]);
    check.shape("b", op.b, expected, "stacked as a, or a single matrix");
  }
  stack.push(op.a.shape[op.transposeA ? -1 : -2]);
  stack.push(op.b.shape[op.transposeB ? -2 : -1]);
  return stack;
}

}  // namespace

void check(Matmul& op) {
  const Check check(op);
  check.output("y", op.y, check_operands(check, op), op.a.dtype);
}

void check(MatmulBackward& op) {
  const Check check(op);
  const Shape y = check_operands(check, op);
  check.same_dtype("dy", op.dy, "a", op.a);
  check.shape("dy", op.dy, y, "the shape of y");
  check.output("da", op.da, op.a.shape, op.a.dtype, "the shape of a");
  check.output("db", op.db, op.b.shape, op.a.dtype, "the shape of b");
}

}  // namespace mglmm
