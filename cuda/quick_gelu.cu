#include "kernels/quick_gelu.h"

#include "cuda/activation.cuh"

namespace mglmm::cuda {
namespace {

struct Forward {
  __device__ float operator()(float x) const { return x * sigmoid(x * 1.702F); }
};
struct Backward {
  __device__ float operator()(float x, float dy) const {
    const float s = sigmoid(x * 1.702F);
    return dy * s * (1.0F + 1.702F * x * (1.0F - s));
  }
};

}  // namespace

void run(const QuickGelu& op, CudaStream& stream) { activate(op, stream, Forward{}); }
void run(const QuickGeluBackward& op, CudaStream& stream) { activate_backward(op, stream, Backward{}); }

}  // namespace mglmm::cuda
