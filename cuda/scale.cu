#include "kernels/scale.h"

#include "cuda/map.cuh"

namespace mglmm::cuda {
namespace {

struct Forward {
  float factor, shift;
  __device__ float operator()(float x) const { return x * factor + shift; }
};

}  // namespace

void run(const Scale& op, CudaStream& stream) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    map(stream, op.y.count(), Forward{op.factor, op.shift}, op.y.data<T>(), op.x.data<T>());
  });
}

}  // namespace mglmm::cuda
