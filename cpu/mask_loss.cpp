// Where logits are smaller than the target, each row of them is made as wide as the target once, and a row of pixels is
// mixed from three of those while its loss is taken; its gradient goes back to the three the same way.
#include "kernels/mask_loss.h"

#include <algorithm>
#include <array>

#include "cpu/mask_rows.h"
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

// Of at most kChunk pixels.
class LaneSums {
 public:
  // Logit: vfloat operator()(int64_t i, lanes...) const.
  template <typename Logit, typename U>
  void add(int64_t begin, int64_t end, Logit&& logit, const U* target) {
    vfloat bce = bce_, both = both_, p = p_, t = t_, hit = hit_, inside = inside_;
    by_lanes(begin, end, [&](int64_t i, auto... lanes) {
      // A lane past the end must add nothing, but its logit of 0 gives p = 1/2.
      vfloat present = splat(1);
      if constexpr (sizeof...(lanes) > 0) {
        const int64_t count = (lanes, ...);
        for (int64_t lane = count; lane < kLanes; ++lane) present[lane] = 0;
      }
      const vfloat x = logit(i, lanes...);
      const vfloat goal = load_target(target + i, lanes...);
      const Sigmoid s(x);
      bce += present * (max(x, splat(0)) - x * goal + log1p(s.e));
      both += s.p * goal;
      p += present * s.p;
      t += goal;
      hit += x > 0.0F ? goal : splat(0);
      inside += x > 0.0F ? splat(1) : splat(0);
    });
    bce_ = bce, both_ = both, p_ = p, t_ = t, hit_ = hit, inside_ = inside;
  }
  Sums total() const { return {sum(bce_), sum(both_), sum(p_), sum(t_), sum(hit_), sum(inside_)}; }

 private:
  vfloat bce_ = splat(0), both_ = splat(0), p_ = splat(0), t_ = splat(0), hit_ = splat(0), inside_ = splat(0);
};

// d loss / d p, but for what does not depend on the pixel.
struct Slopes {
  float bce, p, target;

  Slopes(const MaskLossBackward& op, int64_t mask) {
    const int64_t pixels = std::max<int64_t>(op.target.shape[1] * op.target.shape[2], 1);
    const double dbce = op.dbce ? *op.dbce->data<float>() / (op.count + 1e-8) / static_cast<double>(pixels) : 0;
    const double ddice = op.ddice ? *op.ddice->data<float>() / (op.count + 1e-8) : 0;
    const float* sums = op.sums.data<float>() + 3 * mask;
    const double above = 2.0 * sums[0] / op.scale + op.eps;
    const double below = (static_cast<double>(sums[1]) + sums[2]) / op.scale + op.eps;
    bce = static_cast<float>(dbce);
    p = static_cast<float>(ddice * above / (below * below * op.scale));
    target = static_cast<float>(ddice * 2 / (below * op.scale));
  }

  vfloat at(vfloat x, vfloat goal) const {
    const Sigmoid s(x);
    const vfloat from_bce = bce * ((1.0F - goal) * s.p - goal * s.rest);
    return from_bce + (p - target * goal) * s.p * s.rest;
  }
};

template <typename Body>
void by_target(const ConstTensor& target, Body&& body) {
  if (target.dtype == Dtype::u8)
    body(target.data<uint8_t>());
  else
    body(target.data<float>());
}

template <typename Op>
bool is_resized(const Op& op) {
  return !mask_rows(op).is_identity() || !mask_columns(op).is_identity();
}

// Pieces of masks: of kChunk pixels, or of as many rows.
template <typename T, typename U>
void sum_equal(const MaskLoss& op, const U* target, int64_t pixels, int64_t pieces, Sums* partial) {
  parallel_ranges(op.pred.shape[0] * pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t origin = i / pieces * pixels;
      const int64_t first = i % pieces * kChunk;
      LaneSums sums;
      const T* pred = op.pred.data<T>() + origin;
      sums.add(
          first, std::min(first + kChunk, pixels), [=](int64_t k, auto... lanes) { return load(pred + k, lanes...); },
          target + origin);
      partial[i] = sums.total();
    }
  });
}

template <typename T, typename U>
void sum_resized(const MaskLoss& op, const U* target, int64_t piece_rows, int64_t pieces, Sums* partial, Stream& stream) {
  const int64_t height = op.target.shape[1], width = op.target.shape[2];
  const int64_t low_height = op.pred.shape[1], low_width = op.pred.shape[2];
  const MaskTable rows(mask_rows(op)), columns(mask_columns(op));
  const int64_t floats = WideRows<T>::floats(columns);
  auto* scratch = stream.scratch_of<float>(floats * thread_count());
  parallel_ranges(op.pred.shape[0] * pieces, 1, [&](int64_t begin, int64_t end) {
    WideRows<T> wide(columns, low_height, scratch + floats * thread_index());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t mask = i / pieces;
      if (i == begin || i % pieces == 0) wide.begin(op.pred.data<T>() + mask * low_height * low_width);
      LaneSums sums;
      const int64_t top = i % pieces * piece_rows;
      for (int64_t row = top; row < std::min(top + piece_rows, height); ++row) {
        sums.add(0, width, wide.mixed(rows.first[static_cast<size_t>(row)], rows.taps(row)),
                 target + (mask * height + row) * width);
      }
      partial[i] = sums.total();
    }
  });
}

template <typename T, typename U>
void gradient_equal(const MaskLossBackward& op, const U* target, int64_t pixels) {
  const int64_t pieces = (pixels + kChunk - 1) / kChunk;
  const T* pred = op.pred.data<T>();
  T* dpred = op.dpred.data<T>();
  parallel_ranges(op.pred.shape[0] * pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const Slopes slopes(op, piece / pieces);
      const int64_t origin = piece / pieces * pixels;
      const int64_t first = piece % pieces * kChunk;
      by_lanes(origin + first, origin + std::min(first + kChunk, pixels), [=](int64_t i, auto... lanes) {
        store(dpred + i, slopes.at(load(pred + i, lanes...), load_target(target + i, lanes...)), lanes...);
      });
    }
  });
}

// A thread makes the gradients of rows of logits, of one mask after the other. Each is the sum over the rows of pixels that
// read it, in their order, whichever thread that is: a thread's first and last rows are read by pixels of its neighbours
// too.
template <typename T, typename U>
void gradient_resized(const MaskLossBackward& op, const U* target, Stream& stream) {
  const int64_t height = op.target.shape[1], width = op.target.shape[2];
  const int64_t low_height = op.pred.shape[1], low_width = op.pred.shape[2];
  const MaskTable rows(mask_rows(op)), columns(mask_columns(op));
  const MaskReaders readers(columns);
  const int64_t own = WideRows<T>::floats(columns);
  const int64_t floats = own + kMaskTaps * width;
  auto* scratch = stream.scratch_of<float>(floats * thread_count());
  const int64_t grain = kElementGrain * low_height / std::max<int64_t>(height * width, 1) + 1;
  parallel_ranges(op.pred.shape[0] * low_height, grain, [&](int64_t begin, int64_t end) {
    float* memory = scratch + floats * thread_index();
    WideRows<T> wide(columns, low_height, memory);
    float* sums = memory + own;  // of three rows of logits, each at its number modulo three, as wide as the target
    std::memset(sums, 0, static_cast<size_t>(kMaskTaps * width) * sizeof(float));
    for (int64_t line = begin; line < end;) {
      const int64_t mask = line / low_height;
      const int64_t first = line % low_height, last = std::min(low_height, first + end - line) - 1;
      const Slopes slopes(op, mask);
      wide.begin(op.pred.data<T>() + mask * low_height * low_width);
      int64_t row = rows.readers_begin(first);
      const int64_t rows_end = rows.readers_end(last);
      int64_t next = row < rows_end ? std::min<int64_t>(first, rows.first[static_cast<size_t>(row)]) : first;
      const auto finish_before = [&](int64_t logits) {
        for (; next < logits; ++next) {
          float* sum = sums + next % kMaskTaps * width;
          if (next >= first) readers.gather(sum, op.dpred.data<T>() + (mask * low_height + next) * low_width);
          std::memset(sum, 0, static_cast<size_t>(width) * sizeof(float));
        }
      };
      for (; row < rows_end; ++row) {
        const int64_t top = rows.first[static_cast<size_t>(row)];
        const auto weights = rows.taps(row);
        finish_before(top);
        const auto logits = wide.mixed(top, weights);
        const U* goals = target + (mask * height + row) * width;
        float* to[kMaskTaps];
        for (int64_t k = 0; k < kMaskTaps; ++k) to[k] = sums + (top + k) % kMaskTaps * width;
        by_lanes(0, width, [&](int64_t i, auto... lanes) {
          const vfloat gradient = slopes.at(logits(i, lanes...), load_target(goals + i, lanes...));
          for (size_t k = 0; k < kMaskTaps; ++k)
            store(to[k] + i, load(to[k] + i, lanes...) + weights[k] * gradient, lanes...);
        });
      }
      finish_before(last + 1);
      std::memset(sums, 0, static_cast<size_t>(kMaskTaps * width) * sizeof(float));
      line += last + 1 - first;
    }
  });
}

}  // namespace

void run(const MaskLoss& op, Stream& stream) {
  const int64_t masks = op.pred.shape[0];
  const int64_t height = op.target.shape[1], width = op.target.shape[2], pixels = height * width;
  const bool resized = is_resized(op);
  const int64_t piece_rows = std::max<int64_t>(kChunk / std::max<int64_t>(width, 1), 1);
  const int64_t pieces = pixels == 0 ? 0 : resized ? (height + piece_rows - 1) / piece_rows : (pixels + kChunk - 1) / kChunk;
  Sums* partial = reinterpret_cast<Sums*>(stream.scratch(masks * pieces * static_cast<int64_t>(sizeof(Sums))));
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&](const auto* target) {
      if (resized)
        sum_resized<T>(op, target, piece_rows, pieces, partial, stream);
      else
        sum_equal<T>(op, target, pixels, pieces, partial);
    });
  });
  double bce = 0;
  double dice = 0;
  for (int64_t mask = 0; mask < masks; ++mask) {
    Sums total{};
    for (int64_t piece = 0; piece < pieces; ++piece) {
      for (size_t k = 0; k < total.size(); ++k) total[k] += partial[mask * pieces + piece][k];
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

void run(const MaskLossBackward& op, Stream& stream) {
  if (!op.dpred || op.dpred.count() == 0) return;
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&](const auto* target) {
      if (is_resized(op))
        gradient_resized<T>(op, target, stream);
      else
        gradient_equal<T>(op, target, op.target.shape[1] * op.target.shape[2]);
    });
  });
}

}  // namespace mglmm::cpu
