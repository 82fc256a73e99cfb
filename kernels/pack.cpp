#include "kernels/pack.h"

#include "kernels/check.h"

namespace mglmm {

void check(Pack& op) {
  const Check check(op);
  check.floating("weight", op.weight);
  check.rank("weight", op.weight, 2, "[out, in]");
  check.require(!op.packed || op.packed.wanted, "packed", "given", "a result that this op makes");
  op.packed.layout = Layout::packed;
  check.output("packed", op.packed, op.weight.shape, op.weight.dtype, "the shape of weight");
}

void check(Unpack& op) {
  const Check check(op);
  check.floating("packed", op.packed);
  check.rank("packed", op.packed, 2, "[out, in]");
  check.output("weight", op.weight, op.packed.shape, op.packed.dtype, "the shape of packed");
}

}  // namespace mglmm
