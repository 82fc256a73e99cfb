#include "kernels/grad_norm.h"

#include <string>

#include "kernels/check.h"

namespace mglmm {

void check(GradNorm& op) {
  const Check check(op);
  for (size_t i = 0; i < op.grads.size(); ++i) check.floating(("grads[" + std::to_string(i) + "]").c_str(), op.grads[i]);
  check.output("norm", op.norm, {}, Dtype::f32);
}

}  // namespace mglmm
