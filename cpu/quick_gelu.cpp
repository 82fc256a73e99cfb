#include "kernels/quick_gelu.h"

#include "cpu/activation.h"

namespace mglmm::cpu {

void run(const QuickGelu& op, Stream&) {
  activate(op, [](vfloat x) { return x * sigmoid(x * 1.702F); });
}

void run(const QuickGeluBackward& op, Stream&) {
  activate_backward(op, [](vfloat x, vfloat dy) {
    const vfloat s = sigmoid(x * 1.702F);
    return dy * s * (1.0F + 1.702F * x * (1.0F - s));
  });
}

}  // namespace mglmm::cpu
