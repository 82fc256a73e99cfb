#include "kernels/rope.h"

#include <cmath>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

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

struct Rotation {
  int64_t batch, heads, seq, half;
  bool tokens_first;
  const int32_t* positions;
  double base;
  float direction;  // 1, or -1 to rotate back
};

template <typename T>
void rotate(const Rotation& op, const T* x, T* y, Stream& stream) {
  const int64_t half = op.half;
  if (half == 0 || op.batch * op.seq * op.heads == 0) return;
  const int64_t padded = (half + kDoubles - 1) / kDoubles * kDoubles;
  float* frequencies = stream.scratch_of<float>(padded);
  for (int64_t i = 0; i < padded; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
    frequencies[i] = 1.0F / std::pow(static_cast<float>(op.base), exponent);
  }
  const int64_t token_stride = 2 * half * (op.tokens_first ? op.heads : 1);
  const int64_t head_stride = 2 * half * (op.tokens_first ? 1 : op.seq);
  float* angles = stream.scratch_of<float>(2 * padded * thread_count());
  const int64_t grain = std::max<int64_t>(1, kElementGrain / (2 * half * op.heads));
  parallel_ranges(op.batch * op.seq, grain, [&](int64_t begin, int64_t end) {
    float* cos = angles + 2 * padded * thread_index();
    float* sin = cos + padded;
    for (int64_t token = begin; token < end; ++token) {
      const auto position = static_cast<float>(op.positions[token]);
      for (int64_t i = 0; i < padded; i += kDoubles) {
        vdouble angle;
        for (int lane = 0; lane < kDoubles; ++lane) angle[lane] = frequencies[i + lane] * position;
        vdouble c, s;
        cos_sin(angle, c, s);
        for (int lane = 0; lane < kDoubles; ++lane) {
          cos[i + lane] = static_cast<float>(c[lane]);
          sin[i + lane] = static_cast<float>(s[lane]) * op.direction;
        }
      }
      const int64_t first = token / op.seq * op.heads * op.seq * 2 * half + token % op.seq * token_stride;
      for (int64_t head = 0; head < op.heads; ++head) {
        const T* from = x + first + head * head_stride;
        T* to = y + first + head * head_stride;
        by_lanes(0, half, [=](int64_t i, auto... lanes) {
          const vfloat low = load(from + i, lanes...), high = load(from + half + i, lanes...);
          const vfloat c = load(cos + i, lanes...), s = load(sin + i, lanes...);
          store(to + i, low * c - high * s, lanes...);
          store(to + half + i, high * c + low * s, lanes...);
        });
      }
    }
  });
}

void rotate(const TensorRef& x, const ConstTensor& position_ids, double base, bool tokens_first, float direction,
            const TensorRef& y, Stream& stream) {
  const Shape& shape = x.shape;
  const Rotation rotation{shape[0],
                          shape[tokens_first ? 2 : 1],
                          shape[tokens_first ? 1 : 2],
                          shape[3] / 2,
                          tokens_first,
                          position_ids.data<int32_t>(),
                          base,
                          direction};
  by_dtype(x.dtype, [&]<typename T>(Type<T>) {
    rotate(rotation, reinterpret_cast<const T*>(x.raw()), reinterpret_cast<T*>(y.raw()), stream);
  });
}

}  // namespace

void run(const Rope& op, Stream& stream) { rotate(op.x, op.positionIds, op.base, op.tokensFirst, 1, op.y, stream); }

void run(const RopeBackward& op, Stream& stream) {
  if (op.dx) rotate(op.dy, op.positionIds, op.base, op.tokensFirst, -1, op.dx, stream);
}

}  // namespace mglmm::cpu
