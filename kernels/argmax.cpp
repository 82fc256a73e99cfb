#include "kernels/argmax.h"

#include <limits>

#include "kernels/check.h"

namespace mglmm {

void check(Argmax& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  const int64_t size = op.x.shape[-1];
  check.require(size >= 1 && size <= std::numeric_limits<int32_t>::max(), "the last size of x", std::to_string(size),
                "from 1 to 2147483647");
  check.output("ids", op.ids, op.x.shape.without_last(), Dtype::i32, "the shape of x without its last axis");
}

}  // namespace mglmm
