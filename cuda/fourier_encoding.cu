#include "kernels/fourier_encoding.h"

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads)
    encode_kernel(int64_t count, int64_t features, const T* points, const T* gaussian, T* y) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= count) return;
  const int64_t point = index / features;
  const int64_t k = index % features;
  const float px = 2.0F * to_float(points[2 * point]) - 1.0F;
  const float py = 2.0F * to_float(points[2 * point + 1]) - 1.0F;
  const float turns = px * to_float(gaussian[k]) + py * to_float(gaussian[features + k]);
  // Whole turns away first: what is left is exact, and small enough for an exact sine.
  const float angle = (turns - nearbyintf(turns)) * 6.28318531F;
  put(y[2 * features * point + k], sinf(angle));
  put(y[2 * features * point + features + k], cosf(angle));
}

}  // namespace

void run(const FourierEncoding& op, CudaStream& stream) {
  const int64_t count = op.y.count() / 2;
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    launch(stream, encode_kernel<T>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, count,
           op.gaussian.shape[1], op.points.data<T>(), op.gaussian.data<T>(), op.y.data<T>());
  });
}

}  // namespace mglmm::cuda
