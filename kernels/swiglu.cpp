#include "kernels/swiglu.h"

#include "kernels/check.h"

namespace mglmm {

void check(Swiglu& op) {
  const Check check(op);
  check.floating("gate", op.gate);
  check.same("up", op.up, "gate", op.gate);
  check.output("y", op.y, op.gate.shape, op.gate.dtype, "the shape of gate");
}

void check(SwigluBackward& op) {
  const Check check(op);
  check.floating("gate", op.gate);
  check.same("up", op.up, "gate", op.gate);
  check.same("dy", op.dy, "gate", op.gate);
  check.output("dgate", op.dgate, op.gate.shape, op.gate.dtype, "the shape of gate");
  check.output("dup", op.dup, op.gate.shape, op.gate.dtype, "the shape of gate");
}

}  // namespace mglmm
