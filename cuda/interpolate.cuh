// Linear interpolation between the centres of pixels, shared by the ops that resize without antialiasing: what one of them
// says of a sign, the others say. Roundings are spelled out, so that the CPU's levels with fused multiply-adds agree.
#pragma once
#include "cuda/number.cuh"

namespace mglmm::cuda {

// Between which two pixels an output position lies, and how far along.
struct Between {
  int64_t low, high;
  float weight;  // of high
};

// One axis, from `in` pixels to others.
struct Resize {
  int64_t in;
  double scale;  // pixels of the input for one of the output
  Resize(int64_t in_size, int64_t out_size)
      : in(in_size), scale(static_cast<double>(in_size) / static_cast<double>(out_size)) {}
  __device__ __forceinline__ Between at(int64_t i) const {
    const double position = fmax(fma(static_cast<double>(i) + 0.5, scale, -0.5), 0.0);
    const auto low = static_cast<int64_t>(position);
    if (low >= in - 1) return {in - 1, in - 1, 0};
    return {low, low + 1, static_cast<float>(position - static_cast<double>(low))};
  }
};

// First down the rows, then along them. Value: float operator()(int64_t row, int64_t column) const.
template <typename Value>
__device__ __forceinline__ float interpolate(const Between& down, const Between& across, Value&& value) {
  const auto mixed = [&](int64_t column) {
    const float below = value(down.low, column);
    return fmaf(down.weight, value(down.high, column) - below, below);
  };
  const float left = mixed(across.low);
  return fmaf(across.weight, mixed(across.high) - left, left);
}

}  // namespace mglmm::cuda
