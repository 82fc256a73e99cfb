// A block a piece of a mask, in f64; then one block for all masks. Logits are read once.
#include "kernels/mask_loss.h"

#include <algorithm>

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kPiece = 16384;

__device__ __forceinline__ float goal_at(const float* target, int64_t i) { return target[i]; }
__device__ __forceinline__ float goal_at(const uint8_t* target, int64_t i) { return static_cast<float>(target[i]); }

// sigmoid(x) and what is left to 1, both to some ulp however large |x|; e = exp(-|x|).
struct Sigmoid {
  float e, p, rest;
  __device__ explicit Sigmoid(float x) : e(expf(-fabsf(x))) {
    const float larger = 1.0F / (1.0F + e);
    p = x < 0.0F ? e * larger : larger;
    rest = x < 0.0F ? larger : e * larger;
  }
};

struct Sums {
  double entropy, both, p, target;
  double hit, inside;  // of pixels with p > 1/2: target, all
};
__device__ __forceinline__ void operator+=(Sums& sum, const Sums& part) {
  sum.entropy += part.entropy;
  sum.both += part.both;
  sum.p += part.p;
  sum.target += part.target;
  sum.hit += part.hit;
  sum.inside += part.inside;
}

struct WarpSums {
  Sums values[kThreads / 32];
};

// In every thread of the block. All of its threads come here.
__device__ Sums sum_of_block(Sums own) {
  auto& sums = shared<WarpSums>();
  for (int bits = 16; bits > 0; bits /= 2) {
    own.entropy += __shfl_xor_sync(0xffffffff, own.entropy, bits);
    own.both += __shfl_xor_sync(0xffffffff, own.both, bits);
    own.p += __shfl_xor_sync(0xffffffff, own.p, bits);
    own.target += __shfl_xor_sync(0xffffffff, own.target, bits);
    own.hit += __shfl_xor_sync(0xffffffff, own.hit, bits);
    own.inside += __shfl_xor_sync(0xffffffff, own.inside, bits);
  }
  __syncthreads();  // earlier sums may still be read
  if (threadIdx.x % 32 == 0) sums.values[threadIdx.x / 32] = own;
  __syncthreads();
  Sums total{};
  for (const Sums& warp : sums.values) total += warp;
  return total;
}

template <typename T, typename U>
__global__ void __launch_bounds__(kThreads)
    pieces_kernel(int64_t pixels, int64_t pieces, const T* pred, const U* target, Sums* partial) {
  const int64_t origin = blockIdx.x / pieces * pixels;
  const int64_t first = blockIdx.x % pieces * kPiece;
  const int64_t end = first + kPiece < pixels ? first + kPiece : pixels;
  Sums own{};
  for (int64_t i = first + threadIdx.x; i < end; i += kThreads) {
    const float x = to_float(pred[origin + i]);
    const float goal = goal_at(target, origin + i);
    const Sigmoid s(x);
    own.entropy += fmaxf(x, 0.0F) - x * goal + log1pf(s.e);
    own.both += s.p * goal;
    own.p += s.p;
    own.target += goal;
    if (x > 0.0F) {
      own.hit += goal;
      own.inside += 1;
    }
  }
  own = sum_of_block(own);
  if (threadIdx.x == 0) partial[blockIdx.x] = own;
}

struct Settings {
  int64_t masks, pixels;
  double count, scale, eps;
};

// Of one block, mask after mask.
__global__ void __launch_bounds__(kThreads) losses_kernel(Settings settings, int64_t pieces, const Sums* partial, float* bce,
                                                          float* dice, float* iou, float* saved) {
  double bce_total = 0, dice_total = 0;
  for (int64_t mask = 0; mask < settings.masks; ++mask) {
    Sums own{};
    for (int64_t piece = threadIdx.x; piece < pieces; piece += kThreads) own += partial[mask * pieces + piece];
    const Sums total = sum_of_block(own);
    if (settings.pixels > 0) bce_total += total.entropy / static_cast<double>(settings.pixels);
    dice_total +=
        1 - (2 * total.both / settings.scale + settings.eps) / ((total.p + total.target) / settings.scale + settings.eps);
    if (threadIdx.x != 0) continue;
    const double either = total.inside + total.target - total.hit;
    if (iou != nullptr) iou[mask] = either > 0 ? static_cast<float>(total.hit / either) : 1.0F;
    if (saved == nullptr) continue;
    saved[3 * mask] = static_cast<float>(total.both);
    saved[3 * mask + 1] = static_cast<float>(total.p);
    saved[3 * mask + 2] = static_cast<float>(total.target);
  }
  if (threadIdx.x != 0) return;
  if (bce != nullptr) *bce = static_cast<float>(bce_total / (settings.count + 1e-8));
  if (dice != nullptr) *dice = static_cast<float>(dice_total / (settings.count + 1e-8));
}

template <typename T, typename U>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(Settings settings, const float* bce_gradient, const float* dice_gradient, const T* pred, const U* target,
                    const float* saved, T* dpred) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= settings.masks * settings.pixels) return;
  const double dbce =
      bce_gradient == nullptr ? 0 : *bce_gradient / (settings.count + 1e-8) / static_cast<double>(settings.pixels);
  const double ddice = dice_gradient == nullptr ? 0 : *dice_gradient / (settings.count + 1e-8);
  // d dice / d p = slope_p - slope_target * target
  const float* sums = saved + i / settings.pixels * 3;
  const double above = 2.0 * sums[0] / settings.scale + settings.eps;
  const double below = (static_cast<double>(sums[1]) + sums[2]) / settings.scale + settings.eps;
  const auto slope_p = static_cast<float>(ddice * above / (below * below * settings.scale));
  const auto slope_target = static_cast<float>(ddice * 2 / (below * settings.scale));
  const Sigmoid s(to_float(pred[i]));
  const float goal = goal_at(target, i);
  const float from_bce = static_cast<float>(dbce) * ((1.0F - goal) * s.p - goal * s.rest);
  put(dpred[i], from_bce + (slope_p - slope_target * goal) * s.p * s.rest);
}

template <typename Body>
void by_target(const ConstTensor& target, Body&& body) {
  if (target.dtype == Dtype::u8)
    body(target.data<uint8_t>());
  else
    body(target.data<float>());
}

template <typename Op>
Settings settings_of(const Op& op) {
  return {op.pred.shape[0], op.pred.shape[1] * op.pred.shape[2], op.count, op.scale, op.eps};
}

}  // namespace

void run(const MaskLoss& op, CudaStream& stream) {
  const Settings settings = settings_of(op);
  const int64_t pieces = blocks_for(settings.pixels, kPiece);
  auto* partial = stream.scratch_of<Sums>(settings.masks * pieces);
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&]<typename U>(const U* target) {
      launch(stream, pieces_kernel<T, U>, {.blocks = settings.masks * pieces, .threads = kThreads}, settings.pixels, pieces,
             op.pred.data<T>(), target, partial);
    });
  });
  launch(stream, losses_kernel, {.blocks = 1, .threads = kThreads}, settings, pieces, partial,
         op.bce ? op.bce.data<float>() : nullptr, op.dice ? op.dice.data<float>() : nullptr,
         op.iou ? op.iou.data<float>() : nullptr, op.sums ? op.sums.data<float>() : nullptr);
}

void run(const MaskLossBackward& op, CudaStream& stream) {
  if (!op.dpred) return;
  const Settings settings = settings_of(op);
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&]<typename U>(const U* target) {
      launch(stream, backward_kernel<T, U>,
             {.blocks = blocks_for(settings.masks * settings.pixels, kThreads), .threads = kThreads}, settings,
             op.dbce ? op.dbce->data<float>() : nullptr, op.ddice ? op.ddice->data<float>() : nullptr, op.pred.data<T>(),
             target, op.sums.data<float>(), op.dpred.data<T>());
    });
  });
}

}  // namespace mglmm::cuda
