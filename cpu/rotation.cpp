#include "cpu/rotation.h"

#include <cmath>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {
namespace {

constexpr int kDoubles = kLanes / 2;
using vdouble = double __attribute__((vector_size(kDoubles * 8)));
using vlong = int64_t __attribute__((vector_size(kDoubles * 8)));

// cos and sin of kDoubles angles, good to far more than f32 for every angle that an i32 position makes: reduced to
// [-pi/4, pi/4] in f64, then the Taylor series.
void cos_sin(vdouble angle, vdouble& cos, vdouble& sin) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  const vdouble turns = (angle * 0.63661977236758134308 + kRound) - kRound;
  const vdouble r = (angle - turns * 1.57079632679489655800) - turns * 6.12323399573676603587e-17;
  const vlong quarter = __builtin_convertvector(turns, vlong);
  const vdouble s = r * r;
  const vdouble odd =
      r + r * s * (-1.0 / 6 + s * (1.0 / 120 + s * (-1.0 / 5040 + s * (1.0 / 362880 + s * (-1.0 / 39916800)))));
  const vdouble even =
      1.0 +
      s * (-0.5 + s * (1.0 / 24 + s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800 + s * (1.0 / 479001600))))));
  const vlong swapped = (quarter & 1) != 0;
  const vdouble c = swapped ? odd : even;
  const vdouble d = swapped ? even : odd;
  cos = ((quarter + 1) & 2) != 0 ? -c : c;
  sin = (quarter & 2) != 0 ? -d : d;
}

}  // namespace

Rotation::Rotation(int64_t head_dim, double base, Stream& stream)
    : half_(head_dim / 2), padded_((half_ + kDoubles - 1) / kDoubles * kDoubles) {
  auto* frequencies = stream.scratch_of<float>(padded_);
  for (int64_t i = 0; i < padded_; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half_);
    frequencies[i] = 1.0F / std::pow(static_cast<float>(base), exponent);
  }
  frequencies_ = frequencies;
  angles_ = stream.scratch_of<float>(2 * padded_ * thread_count());
}

Rotation::Angles Rotation::at(int32_t position, float direction) const {
  float* cos = angles_ + 2 * padded_ * thread_index();
  float* sin = cos + padded_;
  for (int64_t i = 0; i < padded_; i += kDoubles) {
    vdouble angle;
    for (int lane = 0; lane < kDoubles; ++lane) angle[lane] = frequencies_[i + lane] * static_cast<float>(position);
    vdouble c, s;
    cos_sin(angle, c, s);
    for (int lane = 0; lane < kDoubles; ++lane) {
      cos[i + lane] = static_cast<float>(c[lane]);
      sin[i + lane] = static_cast<float>(s[lane]) * direction;
    }
  }
  return {cos, sin};
}

void Rotation::turn(const Angles& angles, Dtype dtype, int64_t count, const std::byte* from, int64_t from_stride,
                    std::byte* to, int64_t to_stride) const {
  by_dtype(dtype, [&, half = half_]<typename T>(Type<T>) {
    for (int64_t head = 0; head < count; ++head) {
      const T* x = reinterpret_cast<const T*>(from) + head * from_stride;
      T* y = reinterpret_cast<T*>(to) + head * to_stride;
      by_lanes(0, half, [=](int64_t i, auto... lanes) {
        const vfloat low = load(x + i, lanes...), high = load(x + half + i, lanes...);
        const vfloat c = load(angles.cos + i, lanes...), s = load(angles.sin + i, lanes...);
        store(y + i, low * c - high * s, lanes...);
        store(y + half + i, high * c + low * s, lanes...);
      });
    }
  });
}

}  // namespace mglmm::cpu
