#include "kernels/random_uniform.h"

#include "cuda/random_words.cuh"

namespace mglmm::cuda {
namespace {

struct Uniform {
  float low, width;
  __device__ float operator()(const std::array<uint32_t, 4>& words, int place, float) const {
    return low + unit_uniform(words[place]) * width;
  }
};

}  // namespace

void run(const RandomUniform& op, CudaStream& stream) {
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    by_random_words(stream, op.seed, op.offset, op.y.count(), static_cast<const T*>(nullptr), op.y.data<T>(),
                    Uniform{op.low, op.high - op.low});
  });
}

}  // namespace mglmm::cuda
