#include "kernels/mask_intersections.h"

#include "kernels/check.h"

namespace mglmm {

void check(MaskIntersections& op) {
  const Check check(op);
  check.dtype("a", op.a, Dtype::u8);
  check.dtype("b", op.b, Dtype::u8);
  check.min_rank("a", op.a, 2);
  if (op.a.shape[-1] % 8 != 0) {
    check.fail(kShapeError, "a is " + to_string(op.a.shape) + ", expected a multiple of 8 bytes along the last axis");
  }
  if (op.a.shape.count(1, op.a.shape.rank) > (int64_t{1} << 31) / 8 - 1) {
    check.fail(kShapeError, "a is " + to_string(op.a.shape) + ", expected masks of fewer than 2^31 pixels");
  }
  Shape expected = op.a.shape;
  if (op.b.shape.rank > 0) expected[0] = op.b.shape[0];
  check.shape("b", op.b, expected, "the shape of a but for the number of masks");
  check.output("counts", op.counts, Shape{op.a.shape[0], op.b.shape[0]}, Dtype::i32);
}

}  // namespace mglmm
