#include "kernels/gelu.h"

#include "cpu/activation.h"

namespace mglmm::cpu {
namespace {

vfloat normal_probability(vfloat x) { return 0.5F + 0.5F * erf(x * 0.70710678118654752F); }

}  // namespace

void run(const Gelu& op, Stream&) {
  activate(op, [](vfloat x) { return x * normal_probability(x); });
}

void run(const GeluBackward& op, Stream&) {
  activate_backward(
      op, [](vfloat x, vfloat dy) { return dy * (normal_probability(x) + x * exp(x * x * -0.5F) * 0.39894228040143268F); });
}

}  // namespace mglmm::cpu
