#include "kernels/clip_gradients.h"

#include <cmath>
#include <string>

#include "kernels/check.h"

namespace mglmm {

void check(ClipGradients& op) {
  const Check check(op);
  std::vector<std::pair<std::string, const TensorRef*>> all;
  for (size_t i = 0; i < op.grads.size(); ++i) {
    all.emplace_back("grads[" + std::to_string(i) + "]", &op.grads[i]);
    check.floating(all.back().first.c_str(), op.grads[i]);
  }
  check.apart(std::move(all));
  check.shape("norm", op.norm, {}, "one number");
  check.dtype("norm", op.norm, Dtype::f32);
  check.positive("maxNorm", op.maxNorm);
  check.require(op.eps >= 0 && op.eps < HUGE_VAL, "eps", std::to_string(op.eps), "a finite number from 0");
}

}  // namespace mglmm
