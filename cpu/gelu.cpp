#include "kernels/gelu.h"

#include "cpu/activation.h"
#include "cpu/gelu.h"

namespace mglmm::cpu {
namespace {

// P(X <= x) + x exp(-x^2 / 2) / sqrt(2 pi), within 2.8e-7.
vfloat slope(vfloat x) {
  constexpr float kRange = 5.75F;
  const vfloat odd = odd_polynomial(
      x, kRange, 1.0F,
      {1.251259148e-01F, -6.349968165e-02F, 5.083622038e-02F, -4.950588197e-02F, 5.474980921e-02F, -6.290321797e-02F,
       6.972438097e-02F, -7.225243002e-02F, 6.833541393e-02F, -5.622263253e-02F, 4.175160825e-02F, -3.387536854e-02F,
       2.605489455e-02F, -1.116454415e-02F, 2.086168854e-03F, -3.926414065e-03F, 4.471983761e-03F, -1.397836721e-03F});
  return x < -kRange ? splat(0) : 0.5F + odd;
}

}  // namespace

void run(const Gelu& op, Stream&) {
  activate(op, [](vfloat x) { return gelu(x); });
}

void run(const GeluBackward& op, Stream&) {
  activate_backward(op, [](vfloat x, vfloat dy) { return dy * slope(x); });
}

}  // namespace mglmm::cpu
