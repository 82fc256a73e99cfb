// A block a row, read once for its mean square and once more, from the cache, to be scaled.
#include "kernels/rms_norm.h"

#include "cuda/row.cuh"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    forward_kernel(int64_t dim, const T* x, const T* weight, float eps, T* y, float* rstds) {
  x += blockIdx.x * dim;
  y += blockIdx.x * dim;
  float square = 0;
  each_packet<packet>(dim, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    for (int k = 0; k < packet; ++k) square += to_float(loaded.values[k]) * to_float(loaded.values[k]);
  });
  const float rstd = 1.0F / sqrtf(block_sum(square) / static_cast<float>(dim) + eps);
  if (rstds != nullptr && threadIdx.x == 0) rstds[blockIdx.x] = rstd;
  each_packet<packet>(dim, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    const auto weights = load_packet<packet>(weight + i);
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) put(result.values[k], to_float(loaded.values[k]) * rstd * to_float(weights.values[k]));
    store_packet(y + i, result);
  });
}

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    backward_kernel(int64_t dim, const T* dy, const T* x, const T* weight, const float* rstds, T* dx) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * dim;
  const float rstd = rstds[blockIdx.x];
  float along = 0;  // of g with x
  each_packet<packet>(dim, [&](int64_t i) {
    const auto d = load_packet<packet>(dy + row + i);
    const auto v = load_packet<packet>(x + row + i);
    const auto w = load_packet<packet>(weight + i);
    for (int k = 0; k < packet; ++k) along += to_float(d.values[k]) * to_float(w.values[k]) * to_float(v.values[k]);
  });
  const float back = block_sum(along) * rstd * rstd / static_cast<float>(dim);
  each_packet<packet>(dim, [&](int64_t i) {
    const auto d = load_packet<packet>(dy + row + i);
    const auto v = load_packet<packet>(x + row + i);
    const auto w = load_packet<packet>(weight + i);
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) {
      put(result.values[k], rstd * (to_float(d.values[k]) * to_float(w.values[k]) - to_float(v.values[k]) * back));
    }
    store_packet(dx + row + i, result);
  });
}

// dy n at an element
template <typename T>
struct WeightGradient {
  const T* dy;
  const T* x;
  const float* rstd;
  int64_t dim;
  __device__ float operator()(int64_t i) const { return to_float(dy[i]) * to_float(x[i]) * rstd[i / dim]; }
};

}  // namespace

void run(const RmsNorm& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    T* y = op.y.data<T>();
    float* rstd = op.rstd ? op.rstd.data<float>() : nullptr;
    by_packet<T>(
        dim,
        [&](auto packet) {
          launch(stream, forward_kernel<packet.value, T>, {.blocks = op.x.count() / dim, .threads = threads_for_row(dim)},
                 dim, x, weight, op.eps, y, rstd);
        },
        x, weight, y);
  });
}

void run(const RmsNormBackward& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (dim == 0) return;
  const int64_t rows = op.x.count() / dim;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const float* rstd = op.rstd.data<float>();
    if (op.dx) {
      T* dx = op.dx.data<T>();
      by_packet<T>(
          dim,
          [&](auto packet) {
            launch(stream, backward_kernel<packet.value, T>, {.blocks = rows, .threads = threads_for_row(dim)}, dim, dy, x,
                   weight, rstd, dx);
          },
          dy, x, weight, dx);
    }
    if (op.dweight) {
      sum_over(stream, over_rows(rows, dim), WeightGradient<T>{dy, x, rstd, dim}, StoreSum<T>{op.dweight.data<T>()});
    }
  });
}

}  // namespace mglmm::cuda
