#include "kernels/mask_loss.h"

#include <algorithm>
#include <array>

#include "cpu/parallel.h"
#include "cpu/pixels.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kChunk = 16384;  // pixels summed in f32 lanes before doubles take over

// 0/1 pixels as floats.
inline vfloat load_target(const float* p) { return load(p); }
inline vfloat load_target(const float* p, int64_t count) { return load(p, count); }
inline vfloat load_target(const uint8_t* p) { return load_pixels(p); }
inline vfloat load_target(const uint8_t* p, int64_t count) {
  uint8_t bytes[kLanes] = {};
  std::memcpy(bytes, p, static_cast<size_t>(count));
  return load_target(bytes);
}

// sigmoid(x) and what is left to 1, both to a relative error of some ulp however large |x|; e = exp(-|x|).
struct Sigmoid {
  vfloat e, p, rest;
  explicit Sigmoid(vfloat x) {
    e = exp(x < 0.0F ? x : -x);
    const vfloat larger = 1.0F / (1.0F + e);
    const vfloat smaller = e * larger;
    p = x < 0.0F ? smaller : larger;
    rest = x < 0.0F ? larger : smaller;
  }
};

// log(1 + e) for e in [0, 1]: 2 artanh(s), s = e / (2 + e) <= 1/3, by its series, of which the rest is below 1e-8 of it.
inline vfloat log1p(vfloat e) {
  const vfloat s = e / (2.0F + e);
  const vfloat q = s * s;
  vfloat series = splat(2.0F / 15.0F);
  series = series * q + 2.0F / 13.0F;
  series = series * q + 2.0F / 11.0F;
  series = series * q + 2.0F / 9.0F;
  series = series * q + 2.0F / 7.0F;
  series = series * q + 2.0F / 5.0F;
  series = series * q + 2.0F / 3.0F;
  return series * q * s + 2.0F * s;
}

using Sums = std::array<double, 6>;  // bce, p * target, p, target; of pixels with p > 1/2: target, all

// A lane past the end must add nothing, but its logit of 0 gives p = 1/2.
template <typename T, typename U>
Sums sums_of(const T* pred, const U* target, int64_t begin, int64_t end) {
  vfloat bce = splat(0), both = splat(0), p = splat(0), t = splat(0), hit = splat(0), inside = splat(0);
  const auto add = [&](vfloat x, vfloat goal, vfloat present) {
    const Sigmoid s(x);
    bce += present * (max(x, splat(0)) - x * goal + log1p(s.e));
    both += s.p * goal;
    p += present * s.p;
    t += goal;
    hit += x > 0.0F ? goal : splat(0);
    inside += x > 0.0F ? splat(1) : splat(0);
  };
  by_lanes(begin, end, [&](int64_t i, auto... lanes) {
    vfloat present = splat(1);
    if constexpr (sizeof...(lanes) > 0) {
      const int64_t count = (lanes, ...);
      for (int64_t lane = count; lane < kLanes; ++lane) present[lane] = 0;
    }
    add(load(pred + i, lanes...), load_target(target + i, lanes...), present);
  });
  return {sum(bce), sum(both), sum(p), sum(t), sum(hit), sum(inside)};
}

template <typename Body>
void by_target(const ConstTensor& target, Body&& body) {
  if (target.dtype == Dtype::u8)
    body(target.data<uint8_t>());
  else
    body(target.data<float>());
}

}  // namespace

void run(const MaskLoss& op, Stream& stream) {
  const int64_t masks = op.pred.shape[0];
  const int64_t pixels = op.pred.shape[1] * op.pred.shape[2];
  const int64_t chunks = (pixels + kChunk - 1) / kChunk;
  Sums* partial = reinterpret_cast<Sums*>(stream.scratch(masks * chunks * static_cast<int64_t>(sizeof(Sums))));
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&](const auto* target) {
      parallel_ranges(masks * chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = i % chunks * kChunk;
          const int64_t origin = i / chunks * pixels;
          partial[i] = sums_of(op.pred.data<T>(), target, origin + first, origin + std::min(first + kChunk, pixels));
        }
      });
    });
  });
  double bce = 0;
  double dice = 0;
  for (int64_t mask = 0; mask < masks; ++mask) {
    Sums total{};
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      for (size_t k = 0; k < total.size(); ++k) total[k] += partial[mask * chunks + chunk][k];
    }
    const auto [entropy, both, p, t, hit, inside] = total;
    if (pixels > 0) bce += entropy / static_cast<double>(pixels);
    dice += 1 - (2 * both / op.scale + op.eps) / ((p + t) / op.scale + op.eps);
    const double either = inside + t - hit;
    if (op.iou) op.iou.data<float>()[mask] = either > 0 ? static_cast<float>(hit / either) : 1.0F;
    if (op.sums) {
      for (int k = 0; k < 3; ++k)
        op.sums.data<float>()[3 * mask + k] = static_cast<float>(total[static_cast<size_t>(k) + 1]);
    }
  }
  if (op.bce) *op.bce.data<float>() = static_cast<float>(bce / (op.count + 1e-8));
  if (op.dice) *op.dice.data<float>() = static_cast<float>(dice / (op.count + 1e-8));
}

void run(const MaskLossBackward& op, Stream&) {
  if (!op.dpred) return;
  const int64_t masks = op.pred.shape[0];
  const int64_t pixels = op.pred.shape[1] * op.pred.shape[2];
  const int64_t chunks = (pixels + kChunk - 1) / kChunk;
  const double dbce =
      op.dbce ? *op.dbce->data<float>() / (op.count + 1e-8) / static_cast<double>(std::max<int64_t>(pixels, 1)) : 0;
  const double ddice = op.ddice ? *op.ddice->data<float>() / (op.count + 1e-8) : 0;
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&](const auto* target) {
      const T* pred = op.pred.data<T>();
      T* dpred = op.dpred.data<T>();
      parallel_ranges(masks * chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t chunk = begin; chunk < end; ++chunk) {
          // d dice / d p = slope_p - slope_target * target
          const float* sums = op.sums.data<float>() + chunk / chunks * 3;
          const double above = 2.0 * sums[0] / op.scale + op.eps;
          const double below = (static_cast<double>(sums[1]) + sums[2]) / op.scale + op.eps;
          const auto slope_p = static_cast<float>(ddice * above / (below * below * op.scale));
          const auto slope_target = static_cast<float>(ddice * 2 / (below * op.scale));
          const auto slope_bce = static_cast<float>(dbce);
          const int64_t first = chunk % chunks * kChunk;
          const int64_t origin = chunk / chunks * pixels;
          by_lanes(origin + first, origin + std::min(first + kChunk, pixels), [=](int64_t i, auto... lanes) {
            const Sigmoid s(load(pred + i, lanes...));
            const vfloat goal = load_target(target + i, lanes...);
            const vfloat from_bce = slope_bce * ((1.0F - goal) * s.p - goal * s.rest);
            store(dpred + i, from_bce + (slope_p - slope_target * goal) * s.p * s.rest, lanes...);
          });
        }
      });
    });
  });
}

}  // namespace mglmm::cpu
