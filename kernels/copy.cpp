#include "kernels/copy.h"

#include "kernels/check.h"

namespace mglmm {

void check(Copy& op) {
  const Check check(op);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
  const bool moves = op.y.storage != nullptr && op.y.storage == op.x.storage && op.y.offset != op.x.offset;
  if (moves) check.apart({{"x", &op.x}, {"y", &op.y}});
}

}  // namespace mglmm
