// A channel's 256 results are made on the host, in f64, and looked up: there is nothing else to compute.
#include "kernels/normalize_image.h"

#include <vector>

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t in_height, in_width, channels, top, left, height, width;
};

template <typename T>
__global__ void __launch_bounds__(kThreads) normalize_kernel(Sizes s, const uint8_t* image, const float* results, T* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= s.channels * s.height * s.width) return;
  const int64_t column = s.left + i % s.width;
  const int64_t row = s.top + i / s.width % s.height;
  const int64_t channel = i / s.width / s.height;
  const bool inside = row < s.in_height && column < s.in_width;
  put(y[i], inside ? results[256 * channel + image[(row * s.in_width + column) * s.channels + channel]] : 0.0F);
}

}  // namespace

void run(const NormalizeImage& op, CudaStream& stream) {
  const Sizes s{op.image.shape[0], op.image.shape[1], op.image.shape[2], op.top, op.left, op.height, op.width};
  std::vector<float> results;
  for (size_t channel = 0; channel < static_cast<size_t>(s.channels); ++channel) {
    for (int value = 0; value < 256; ++value) {
      results.push_back(static_cast<float>((value * op.rescale - op.mean[channel]) / op.std[channel]));
    }
  }
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    launch(stream, normalize_kernel<T>, {.blocks = blocks_for(op.y.count(), kThreads), .threads = kThreads}, s,
           op.image.data<uint8_t>(), stream.table(results), op.y.data<T>());
  });
}

}  // namespace mglmm::cuda
