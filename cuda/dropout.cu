#include "kernels/dropout.h"

#include "cuda/random_words.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
struct Kept {
  const T* x;
  uint32_t threshold;
  float factor;
  __device__ float operator()(int64_t i, const std::array<uint32_t, 4>& words, int place) const {
    return words[place] >= threshold ? to_float(x[i]) * factor : 0.0F;
  }
};

template <typename Op>
void drop(CudaStream& stream, const Op& op, const TensorRef& x, const TensorRef& y) {
  by_dtype(x.dtype, [&]<typename T>(Type<T>) {
    const Kept<T> kept{reinterpret_cast<const T*>(x.raw()), static_cast<uint32_t>(op.p * 0x1p32),
                       static_cast<float>(1.0 / (1.0 - op.p))};
    by_random_words(stream, op.seed, op.offset, y.count(), reinterpret_cast<T*>(y.raw()), kept);
  });
}

}  // namespace

void run(const Dropout& op, CudaStream& stream) { drop(stream, op, op.x, op.y); }

void run(const DropoutBackward& op, CudaStream& stream) {
  if (op.dx) drop(stream, op, op.dy, op.dx);
}

}  // namespace mglmm::cuda
