#include "kernels/relu.h"

#include "cpu/activation.h"

namespace mglmm::cpu {

void run(const Relu& op, Stream&) {
  activate(op, [](vfloat x) { return x < 0.0F ? splat(0) : x; });
}

void run(const ReluBackward& op, Stream&) {
  activate_backward(op, [](vfloat x, vfloat dy) { return x > 0.0F ? dy : splat(0); });
}

}  // namespace mglmm::cpu
