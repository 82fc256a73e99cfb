#include "kernels/random_normal.h"

#include "cuda/random_words.cuh"

namespace mglmm::cuda {
namespace {

struct Normal {
  float mean, std;
  __device__ float operator()(const std::array<uint32_t, 4>& words, int place, float) const {
    const std::array<float, 2> pair = box_muller(words[place & 2], words[(place & 2) + 1]);
    return mean + std * pair[place & 1];
  }
};

}  // namespace

void run(const RandomNormal& op, CudaStream& stream) {
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    by_random_words(stream, op.seed, op.offset, op.y.count(), static_cast<const T*>(nullptr), op.y.data<T>(),
                    Normal{op.mean, op.std});
  });
}

}  // namespace mglmm::cuda
