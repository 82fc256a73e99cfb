#include "kernels/relu.h"

#include "cuda/activation.cuh"

namespace mglmm::cuda {
namespace {

struct Forward {
  __device__ float operator()(float x) const { return x < 0.0F ? 0.0F : x; }
};
struct Backward {
  __device__ float operator()(float x, float dy) const { return x > 0.0F ? dy : 0.0F; }
};

}  // namespace

void run(const Relu& op, CudaStream& stream) { activate(op, stream, Forward{}); }
void run(const ReluBackward& op, CudaStream& stream) { activate_backward(op, stream, Backward{}); }

}  // namespace mglmm::cuda
