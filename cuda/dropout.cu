#include "kernels/dropout.h"

#include "cuda/random_words.cuh"

namespace mglmm::cuda {
namespace {

struct Kept {
  uint32_t threshold;
  float factor;
  __device__ float operator()(const std::array<uint32_t, 4>& words, int place, float x) const {
    return words[place] >= threshold ? x * factor : 0.0F;
  }
};

template <typename Op>
void drop(CudaStream& stream, const Op& op, const TensorRef& x, const TensorRef& y) {
  const Kept kept{static_cast<uint32_t>(op.p * 0x1p32), static_cast<float>(1.0 / (1.0 - op.p))};
  by_dtype(x.dtype, [&]<typename T>(Type<T>) {
    by_random_words(stream, op.seed, op.offset, y.count(), reinterpret_cast<const T*>(x.raw()),
                    reinterpret_cast<T*>(y.raw()), kept);
  });
}

}  // namespace

void run(const Dropout& op, CudaStream& stream) { drop(stream, op, op.x, op.y); }

void run(const DropoutBackward& op, CudaStream& stream) {
  if (op.dx) drop(stream, op, op.dy, op.dx);
}

}  // namespace mglmm::cuda
