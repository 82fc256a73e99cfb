// A thread a pixel, so that the threads of a warp read neighbours; it walks over the channels.
#include "kernels/layer_norm_2d.h"

#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 128;

// Sizes, and where the pixel of this thread is in the first channel; -1 for none.
struct Pixels {
  int64_t batch, channels, pixels;
  explicit Pixels(const Shape& shape) : batch(shape[0]), channels(shape[1]), pixels(shape[2] * shape[3]) {}
  __device__ int64_t index() const {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
    return i < batch * pixels ? i : -1;
  }
  __device__ int64_t offset(int64_t index) const { return index / pixels * channels * pixels + index % pixels; }
  Grid grid() const { return {.blocks = blocks_for(batch * pixels, kThreads), .threads = kThreads}; }
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(Pixels at, const T* x, const T* weight, const T* bias, float eps, T* y, float* means, float* rstds) {
  const int64_t index = at.index();
  if (index < 0) return;
  x += at.offset(index);
  y += at.offset(index);
  const float size = static_cast<float>(at.channels);
  float total = 0;
  for (int64_t channel = 0; channel < at.channels; ++channel) total += to_float(x[channel * at.pixels]);
  const float mean = total / size;
  float square = 0;
  for (int64_t channel = 0; channel < at.channels; ++channel) {
    const float centred = to_float(x[channel * at.pixels]) - mean;
    square += centred * centred;
  }
  const float rstd = 1.0F / sqrtf(square / size + eps);
  if (means != nullptr) means[index] = mean;
  if (rstds != nullptr) rstds[index] = rstd;
  for (int64_t channel = 0; channel < at.channels; ++channel) {
    put(y[channel * at.pixels],
        (to_float(x[channel * at.pixels]) - mean) * rstd * to_float(weight[channel]) + to_float(bias[channel]));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(Pixels at, const T* dy, const T* x, const T* weight, const float* means, const float* rstds, T* dx) {
  const int64_t index = at.index();
  if (index < 0) return;
  const int64_t offset = at.offset(index);
  const float mean = means[index];
  const float rstd = rstds[index];
  float level = 0;  // sum of g
  float along = 0;  // sum of g * n
  for (int64_t channel = 0; channel < at.channels; ++channel) {
    const int64_t i = offset + channel * at.pixels;
    const float g = to_float(dy[i]) * to_float(weight[channel]);
    level += g;
    along += g * (to_float(x[i]) - mean) * rstd;
  }
  level /= static_cast<float>(at.channels);
  along /= static_cast<float>(at.channels);
  for (int64_t channel = 0; channel < at.channels; ++channel) {
    const int64_t i = offset + channel * at.pixels;
    const float n = (to_float(x[i]) - mean) * rstd;
    put(dx[i], rstd * (to_float(dy[i]) * to_float(weight[channel]) - level - n * along));
  }
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
