#include "kernels/gelu.h"

#include "cuda/activation.cuh"

namespace mglmm::cuda {
namespace {

struct Forward {
  __device__ float operator()(float x) const { return gelu(x); }
};
struct Backward {
  __device__ float operator()(float x, float dy) const {
    return dy * (normal_probability(x) + x * expf(-0.5F * x * x) * 0.398942280F);  // 1 / sqrt(2 pi)
  }
};

}  // namespace

void run(const Gelu& op, CudaStream& stream) { activate(op, stream, Forward{}); }
void run(const GeluBackward& op, CudaStream& stream) { activate_backward(op, stream, Backward{}); }

}  // namespace mglmm::cuda
