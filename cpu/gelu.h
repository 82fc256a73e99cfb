// The probability that GELU weighs a number with, for gelu and for kernels that end in it.
//
// P(X <= x) and the slope of x P(X <= x), less 1/2, are odd functions: x times a polynomial in x^2, fitted here for the
// least largest error over the range outside of which they are constant in f32, with coefficients rounded one after the
// other, each fitted to what those before it left. In t = x^2 / 16 - centre, which keeps digits: the division is exact, and
// the nearer t is to 0 the less is rounded. One polynomial takes half the time of an error function that goes by exp.
#pragma once
#include <cstddef>
#include <utility>

#include "cpu/simd.h"

namespace mglmm::cpu {

template <size_t count>
vfloat odd_polynomial(vfloat x, float range, float centre, const float (&coefficients)[count]) {
  const vfloat clamped = clamp(x, range);
  const vfloat t = clamped * clamped * 0.0625F - centre;
  vfloat p = splat(coefficients[count - 1]);
  [&]<size_t... i>(std::index_sequence<i...>) { ((p = p * t + coefficients[count - 2 - i]), ...); }
  (std::make_index_sequence<count - 1>());
  return clamped * p;
}

// Within 1.6e-7, and x times it within 3e-7 below 0, where little is left: the centre is near the end of the range. 0 from
// where x times it is less than that.
inline vfloat normal_probability(vfloat x) {
  constexpr float kRange = 5.5F;
  const vfloat odd = odd_polynomial(
      x, kRange, 1.25F,
      {1.118025333e-01F, -4.471378773e-02F, 2.679924667e-02F, -1.778777689e-02F, 1.229877770e-02F, -8.625670336e-03F,
       5.965094548e-03F, -3.937143832e-03F, 2.812315011e-03F, -2.112661954e-03F, 4.354065750e-04F, 1.516144039e-05F,
       1.464051893e-03F, -2.106856846e-04F, -7.868786925e-04F, -4.618262174e-04F});
  return x < -kRange ? splat(0) : 0.5F + odd;
}

inline vfloat gelu(vfloat x) { return x * normal_probability(x); }

}  // namespace mglmm::cpu
