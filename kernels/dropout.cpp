#include "kernels/dropout.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
void check_random(const Check& check, const Op& op) {
  check.require(op.p >= 0 && op.p < 1, "p", Check::number(op.p), "0 up to, not including, 1");
  check.require(op.seed >= 0, "seed", std::to_string(op.seed), "at least 0");
  check.require(op.offset >= 0, "offset", std::to_string(op.offset), "at least 0");
}

}  // namespace

void check(Dropout& op) {
  const Check check(op);
  check.floating("x", op.x);
  check_random(check, op);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
}

void check(DropoutBackward& op) {
  const Check check(op);
  check.floating("dy", op.dy);
  check_random(check, op);
  check.output("dx", op.dx, op.dy.shape, op.dy.dtype, "the shape of dy");
}

}  // namespace mglmm
