#include "kernels/clip_gradients.h"

#include <cmath>
#include <string>

#include "kernels/check.h"

namespace mglmm {

void check(ClipGradients& op) {
  const Check check(op);
  for (size_t i = 0; i < op.grads.size(); ++i) check.floating(("grads[" + std::to_string(i) + "]").c_str(), op.grads[i]);
  check.shape("norm", op.norm, {}, "one number");
  check.dtype("norm", op.norm, Dtype::f32);
  check.positive("maxNorm", op.maxNorm);
  check.require(op.eps >= 0 && op.eps < HUGE_VAL, "eps", std::to_string(op.eps), "a finite number from 0");
}

}  // namespace mglmm
