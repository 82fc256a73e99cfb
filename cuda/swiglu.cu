#include "kernels/swiglu.h"

#include "cuda/activation.cuh"

namespace mglmm::cuda {
namespace {

struct Forward {
  __device__ float operator()(float gate, float up) const { return gate * sigmoid(gate) * up; }
};
struct GateGradient {
  __device__ float operator()(float dy, float gate, float up) const {
    const float s = sigmoid(gate);
    return dy * up * s * (1.0F + gate * (1.0F - s));
  }
};
struct UpGradient {
  __device__ float operator()(float dy, float gate) const { return dy * gate * sigmoid(gate); }
};

}  // namespace

void run(const Swiglu& op, CudaStream& stream) {
  by_dtype(op.gate.dtype, [&]<typename T>(Type<T>) {
    map(stream, op.y.count(), Forward{}, op.y.data<T>(), op.gate.data<T>(), op.up.data<T>());
  });
}

void run(const SwigluBackward& op, CudaStream& stream) {
  by_dtype(op.gate.dtype, [&]<typename T>(Type<T>) {
    const int64_t count = op.gate.count();
    const T* dy = op.dy.data<T>();
    const T* gate = op.gate.data<T>();
    if (op.dgate) map(stream, count, GateGradient{}, op.dgate.data<T>(), dy, gate, op.up.data<T>());
    if (op.dup) map(stream, count, UpGradient{}, op.dup.data<T>(), dy, gate);
  });
}

}  // namespace mglmm::cuda
