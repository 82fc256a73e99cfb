#include "kernels/rope.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

void check_rotation(const Check& check, const char* name, const TensorRef& x, const TensorRef& position_ids, double base,
                    bool tokens_first) {
  check.floating(name, x);
  check.rank(name, x, 4, tokens_first ? "[batch, seq, heads, headDim]" : "[batch, heads, seq, headDim]");
  check.require(x.shape[3] % 2 == 0, "headDim", std::to_string(x.shape[3]), "an even number");
  check.dtype("positionIds", position_ids, Dtype::i32);
  check.shape("positionIds", position_ids, {x.shape[0], x.shape[tokens_first ? 1 : 2]}, "[batch, seq]");
  check.positive("base", base);
}

}  // namespace

void check(Rope& op) {
  const Check check(op);
  check_rotation(check, "x", op.x, op.positionIds, op.base, op.tokensFirst);
  check.output("y", op.y, op.x.shape, op.x.dtype, "the shape of x");
}

void check(RopeBackward& op) {
  const Check check(op);
  check_rotation(check, "dy", op.dy, op.positionIds, op.base, op.tokensFirst);
  check.output("dx", op.dx, op.dy.shape, op.dy.dtype, "the shape of dy");
}

}  // namespace mglmm
