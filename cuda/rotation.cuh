// The angles of rotary positions (kernels/rope.h) and the turn by them: for rope, and for attention that turns the tokens it
// appends to a cache.
#pragma once
#include "cuda/number.cuh"

namespace mglmm::cuda {

struct Angle {
  float cos, sin;
};

// Of pair `i` of `half`. It is formed in f32, as the contract says; what is made of it is good to the last bit, whatever the
// position, because it is done in f64.
__device__ inline Angle angle_at(int32_t position, int64_t i, int64_t half, float base) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
  const float frequency = 1.0F / static_cast<float>(pow(static_cast<double>(base), static_cast<double>(exponent)));
  double sine = 0, cosine = 0;
  sincos(static_cast<double>(frequency * static_cast<float>(position)), &sine, &cosine);
  return {static_cast<float>(cosine), static_cast<float>(sine)};
}

struct Pair {
  float low, high;
};

// Which product is rounded is written out, so that it is the same wherever this is compiled in.
__device__ __forceinline__ Pair turned(const Angle& angle, const Pair& pair) {
  return {fmaf(pair.low, angle.cos, -(pair.high * angle.sin)), fmaf(pair.high, angle.cos, pair.low * angle.sin)};
}

// Pair `i` of a head.
template <typename T>
__device__ __forceinline__ void turn_pair(const Angle& angle, const T* x, T* y, int64_t i, int64_t half) {
  const Pair pair = turned(angle, {to_float(x[i]), to_float(x[i + half])});
  put(y[i], pair.low);
  put(y[i + half], pair.high);
}

}  // namespace mglmm::cuda
