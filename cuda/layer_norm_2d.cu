// A block 32 neighbouring pixels, a lane each; its warps share out the channels, of which each thread keeps the first 32 in
// registers, so that x is read once. Channels beyond are read again, from the cache.
#include "kernels/layer_norm_2d.h"

#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kPixels = 32;
constexpr int kWarps = 8;
constexpr int kThreads = kPixels * kWarps;
constexpr int kHeldChannels = 32;

struct PixelSums {
  float values[kWarps][kPixels];
};

// Sizes, and which pixel and channels are this thread's.
struct Pixels {
  int64_t batch, channels, pixels;
  explicit Pixels(const Shape& shape) : batch(shape[0]), channels(shape[1]), pixels(shape[2] * shape[3]) {}
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / kPixels; }
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % kPixels; }
  __device__ int64_t index() const { return static_cast<int64_t>(blockIdx.x) * kPixels + lane(); }
  __device__ bool inside() const { return index() < batch * pixels; }
  __device__ int64_t offset() const { return index() / pixels * channels * pixels + index() % pixels; }
  // How many of the channels are this thread's.
  __device__ int64_t count() const { return inside() ? (channels - warp() + kWarps - 1) / kWarps : 0; }
  __device__ int64_t channel(int64_t i) const { return warp() + i * kWarps; }
  Grid grid() const { return {.blocks = blocks_for(batch * pixels, kPixels), .threads = kThreads}; }

  // Over the channels of a pixel, in every thread of it. All threads of the block come here.
  __device__ float sum(float value) const {
    auto& sums = shared<PixelSums>();
    __syncthreads();  // an earlier sum may still be read
    sums.values[warp()][lane()] = value;
    __syncthreads();
    value = 0;
    for (int other = 0; other < kWarps; ++other) value += sums.values[other][lane()];
    return value;
  }
};

// This thread's channels of one pixel, read at once.
template <typename T>
struct HeldChannels {
  const T* pixel;
  float values[kHeldChannels];

  __device__ __forceinline__ HeldChannels(const Pixels& at, const T* x) : pixel(x + at.offset()) {
#pragma unroll
    for (int i = 0; i < kHeldChannels; ++i) {
      if (i < at.count()) values[i] = to_float(pixel[at.channel(i) * at.pixels]);
    }
  }
};

// Calls `body(channel, values...)` for each channel that is this thread's.
template <typename Body, typename... Ts>
__device__ __forceinline__ void each_channel(const Pixels& at, Body&& body, const HeldChannels<Ts>&... held) {
  const int64_t count = at.count();
#pragma unroll
  for (int i = 0; i < kHeldChannels; ++i) {
    if (i < count) body(at.channel(i), held.values[i]...);
  }
  for (int64_t i = kHeldChannels; i < count; ++i) {
    const int64_t channel = at.channel(i);
    body(channel, to_float(held.pixel[channel * at.pixels])...);
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(Pixels at, const T* x, const T* weight, const T* bias, float eps, T* y, float* means, float* rstds) {
  const HeldChannels<T> held(at, x);
  const auto size = static_cast<float>(at.channels);
  float total = 0;
  each_channel(
      at, [&](int64_t, float v) { total += v; }, held);
  const float mean = at.sum(total) / size;
  float square = 0;
  each_channel(
      at, [&](int64_t, float v) { square += (v - mean) * (v - mean); }, held);
  const float rstd = 1.0F / sqrtf(at.sum(square) / size + eps);
  if (at.inside() && at.warp() == 0) {
    if (means != nullptr) means[at.index()] = mean;
    if (rstds != nullptr) rstds[at.index()] = rstd;
  }
  y += at.offset();
  each_channel(
      at,
      [&](int64_t channel, float v) {
        put(y[channel * at.pixels], (v - mean) * rstd * to_float(weight[channel]) + to_float(bias[channel]));
      },
      held);
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(Pixels at, const T* dy, const T* x, const T* weight, const float* means, const float* rstds, T* dx) {
  const HeldChannels<T> gradients(at, dy);
  const HeldChannels<T> values(at, x);
  const float mean = at.inside() ? means[at.index()] : 0.0F;
  const float rstd = at.inside() ? rstds[at.index()] : 0.0F;
  float level = 0;  // sum of g
  float along = 0;  // sum of g * n
  each_channel(
      at,
      [&](int64_t channel, float d, float v) {
        const float g = d * to_float(weight[channel]);
        level += g;
        along += g * (v - mean) * rstd;
      },
      gradients, values);
  level = at.sum(level) / static_cast<float>(at.channels);
  along = at.sum(along) / static_cast<float>(at.channels);
  dx += at.offset();
  each_channel(
      at,
      [&](int64_t channel, float d, float v) {
        const float n = (v - mean) * rstd;
        put(dx[channel * at.pixels], rstd * (d * to_float(weight[channel]) - level - n * along));
      },
      gradients, values);
}

// dy n at an element
template <typename T>
struct WeightGradient {
  Pixels at;
  const T* dy;
  const T* x;
  const float* mean;
  const float* rstd;
  __device__ float operator()(int64_t i) const {
    const int64_t pixel = i / (at.channels * at.pixels) * at.pixels + i % at.pixels;
    return to_float(dy[i]) * (to_float(x[i]) - mean[pixel]) * rstd[pixel];
  }
};

}  // namespace

void run(const LayerNorm2d& op, CudaStream& stream) {
  if (op.x.count() == 0) return;
  const Pixels at(op.x.shape);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    launch(stream, forward_kernel<T>, at.grid(), at, op.x.data<T>(), op.weight.data<T>(), op.bias.data<T>(), op.eps,
           op.y.data<T>(), op.mean ? op.mean.data<float>() : nullptr, op.rstd ? op.rstd.data<float>() : nullptr);
  });
}

void run(const LayerNorm2dBackward& op, CudaStream& stream) {
  const Pixels at(op.x.shape);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* x = op.x.data<T>();
    const float* mean = op.mean.data<float>();
    const float* rstd = op.rstd.data<float>();
    if (op.dx && op.x.count() > 0) {
      launch(stream, backward_kernel<T>, at.grid(), at, dy, x, op.weight.data<T>(), mean, rstd, op.dx.data<T>());
    }
    Axes axes;  // over batch and pixels
    axes.push(at.batch, true);
    axes.push(at.channels, false);
    axes.push(at.pixels, true);
    axes.finish();
    if (op.dweight) {
      sum_over(stream, axes, WeightGradient<T>{at, dy, x, mean, rstd}, StoreSum<T>{op.dweight.data<T>()});
    }
    if (op.dbias) sum_over(stream, axes, ValueAt<T>{dy}, StoreSum<T>{op.dbias.data<T>()});
  });
}

}  // namespace mglmm::cuda
