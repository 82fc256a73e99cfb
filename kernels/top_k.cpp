#include "kernels/top_k.h"

#include <limits>

#include "kernels/check.h"

namespace mglmm {

void check(TopK& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.min_rank("x", op.x, 1);
  const int64_t size = op.x.shape[-1];
  check.require(size <= std::numeric_limits<int32_t>::max(), "the last size of x", std::to_string(size),
                "at most 2147483647");
  check.require(op.k >= 0 && op.k <= size, "k", std::to_string(op.k),
                "from 0 to " + std::to_string(size) + ", the last size of x");
  const Shape shape = op.x.shape.with_last(op.k);
  check.output("values", op.values, shape, op.x.dtype, "the shape of x with k as its last size");
  check.output("ids", op.ids, shape, Dtype::i32, "the shape of x with k as its last size");
}

}  // namespace mglmm
