// P(X <= x) and the slope of x P(X <= x), less 1/2, are odd functions: x times a polynomial in x^2, fitted here for the
// least largest error over the range outside of which they are constant in f32, in t = 2 x^2 / range^2 - 1 to keep digits.
// One polynomial takes half the time of an error function that goes by exp.
#include "kernels/gelu.h"

#include <utility>

#include "cpu/activation.h"

namespace mglmm::cpu {
namespace {

template <size_t count>
vfloat odd_polynomial(vfloat x, float range, const float (&coefficients)[count]) {
  const vfloat below = x > range ? splat(range) : x;  // NaN stays
  const vfloat clamped = below < -range ? splat(-range) : below;
  const vfloat t = clamped * clamped * (2.0F / (range * range)) - 1.0F;
  vfloat p = splat(coefficients[count - 1]);
  [&]<size_t... i>(std::index_sequence<i...>) { ((p = p * t + coefficients[count - 2 - i]), ...); }
  (std::make_index_sequence<count - 1>());
  return clamped * p;
}

// Within 1.5e-7; 0 from where x times it is less than that.
vfloat normal_probability(vfloat x) {
  constexpr float kRange = 5.5F;
  const vfloat odd = odd_polynomial(
      x, kRange,
      {1.285519302e-01F, -6.417233497e-02F, 4.773762822e-02F, -3.879278526e-02F, 3.207026049e-02F, -2.604825981e-02F,
       2.036456764e-02F, -1.499907859e-02F, 1.022782549e-02F, -6.819909438e-03F, 4.621783737e-03F, -2.418650081e-03F,
       7.201040280e-04F, -5.291316193e-04F, 6.315598148e-04F, -2.364178363e-04F});
  return x < -kRange ? splat(0) : 0.5F + odd;
}

// P(X <= x) + x exp(-x^2 / 2) / sqrt(2 pi), within 2.5e-7.
vfloat slope(vfloat x) {
  constexpr float kRange = 5.75F;
  const vfloat odd = odd_polynomial(
      x, kRange,
      {1.230718270e-01F, -6.228140742e-02F, 4.936722293e-02F, -4.729423672e-02F, 5.170648545e-02F, -5.952444300e-02F,
       6.675459445e-02F, -7.057823241e-02F, 6.938505918e-02F, -5.935921893e-02F, 4.316300154e-02F, -3.492848575e-02F,
       3.169308230e-02F, -1.622024365e-02F, 1.062145573e-03F, -2.832297701e-03F, 6.217059679e-03F, -2.445364604e-03F});
  return x < -kRange ? splat(0) : 0.5F + odd;
}

}  // namespace

void run(const Gelu& op, Stream&) {
  activate(op, [](vfloat x) { return x * normal_probability(x); });
}

void run(const GeluBackward& op, Stream&) {
  activate_backward(op, [](vfloat x, vfloat dy) { return dy * slope(x); });
}

}  // namespace mglmm::cpu
