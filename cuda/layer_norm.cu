// A block a row, read three times, twice of them from the cache: the squares are of what is left after the mean, so that a
// mean far from 0 costs no digits.
#include "kernels/layer_norm.h"

#include "cuda/row.cuh"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    forward_kernel(int64_t dim, const T* x, const T* weight, const T* bias, float eps, T* y, float* means, float* rstds) {
  x += blockIdx.x * dim;
  y += blockIdx.x * dim;
  float total = 0;
  each_packet<packet>(dim, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    for (int k = 0; k < packet; ++k) total += to_float(loaded.values[k]);
  });
  const float mean = block_sum(total) / static_cast<float>(dim);
  float square = 0;
  each_packet<packet>(dim, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    for (int k = 0; k < packet; ++k) {
      const float centred = to_float(loaded.values[k]) - mean;
      square += centred * centred;
    }
  });
  const float rstd = 1.0F / sqrtf(block_sum(square) / static_cast<float>(dim) + eps);
  if (threadIdx.x == 0) {
    if (means != nullptr) means[blockIdx.x] = mean;
    if (rstds != nullptr) rstds[blockIdx.x] = rstd;
  }
  each_packet<packet>(dim, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    const auto weights = load_packet<packet>(weight + i);
    const auto biases = load_packet<packet>(bias + i);
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) {
      put(result.values[k],
          (to_float(loaded.values[k]) - mean) * rstd * to_float(weights.values[k]) + to_float(biases.values[k]));
    }
    store_packet(y + i, result);
  });
}

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    backward_kernel(int64_t dim, const T* dy, const T* x, const T* weight, const float* means, const float* rstds, T* dx) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * dim;
  const float mean = means[blockIdx.x];
  const float rstd = rstds[blockIdx.x];
  float level = 0;  // sum of g
  float along = 0;  // sum of g * n
  each_packet<packet>(dim, [&](int64_t i) {
    const auto d = load_packet<packet>(dy + row + i);
    const auto v = load_packet<packet>(x + row + i);
    const auto w = load_packet<packet>(weight + i);
    for (int k = 0; k < packet; ++k) {
      const float g = to_float(d.values[k]) * to_float(w.values[k]);
      level += g;
      along += g * (to_float(v.values[k]) - mean) * rstd;
    }
  });
  level = block_sum(level) / static_cast<float>(dim);
  along = block_sum(along) / static_cast<float>(dim);
  each_packet<packet>(dim, [&](int64_t i) {
    const auto d = load_packet<packet>(dy + row + i);
    const auto v = load_packet<packet>(x + row + i);
    const auto w = load_packet<packet>(weight + i);
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) {
      const float n = (to_float(v.values[k]) - mean) * rstd;
      put(result.values[k], rstd * (to_float(d.values[k]) * to_float(w.values[k]) - level - n * along));
    }
    store_packet(dx + row + i, result);
  });
}

// dy n at an element
template <typename T>
struct WeightGradient {
  const T* dy;
  const T* x;
  const float* mean;
  const float* rstd;
  int64_t dim;
  __device__ float operator()(int64_t i) const {
    const int64_t row = i / dim;
    return to_float(dy[i]) * (to_float(x[i]) - mean[row]) * rstd[row];
  }
};

}  // namespace

void run(const LayerNorm& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const T* bias = op.bias.data<T>();
    T* y = op.y.data<T>();
    float* mean = op.mean ? op.mean.data<float>() : nullptr;
    float* rstd = op.rstd ? op.rstd.data<float>() : nullptr;
    by_packet<T>(
        dim,
        [&](auto packet) {
          launch(stream, forward_kernel<packet.value, T>, {.blocks = op.x.count() / dim, .threads = threads_for_row(dim)},
                 dim, x, weight, bias, op.eps, y, mean, rstd);
        },
        x, weight, bias, y);
  });
}

void run(const LayerNormBackward& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (dim == 0) return;
  const int64_t rows = op.x.count() / dim;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const float* mean = op.mean.data<float>();
    const float* rstd = op.rstd.data<float>();
    if (op.dx) {
      T* dx = op.dx.data<T>();
      by_packet<T>(
          dim,
          [&](auto packet) {
            launch(stream, backward_kernel<packet.value, T>, {.blocks = rows, .threads = threads_for_row(dim)}, dim, dy, x,
                   weight, mean, rstd, dx);
          },
          dy, x, weight, dx);
    }
    const Axes axes = over_rows(rows, dim);
    if (op.dweight) {
      sum_over(stream, axes, WeightGradient<T>{dy, x, mean, rstd, dim}, StoreSum<T>{op.dweight.data<T>()});
    }
    if (op.dbias) sum_over(stream, axes, ValueAt<T>{dy}, StoreSum<T>{op.dbias.data<T>()});
  });
}

}  // namespace mglmm::cuda
