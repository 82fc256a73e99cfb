#include "kernels/swiglu.h"

#include "cuda/activation.cuh"
#include "cuda/row.cuh"

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

// Both at once: what they are made of is read once.
template <int packet, typename T>
__global__ void __launch_bounds__(kMapThreads)
    gradients_kernel(int64_t count, const T* dy, const T* gate, const T* up, T* dgate, T* dup) {
  begin_early();
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * packet;
  const auto put_at = [&](auto of, int64_t i) {
    constexpr int kCount = decltype(of)::value;
    const auto upstream = load_packet<kCount>(dy + i);
    const auto gates = load_packet<kCount>(gate + i);
    const auto ups = load_packet<kCount>(up + i);
    Packet<T, kCount> of_gate, of_up;
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const float slope = to_float(upstream.values[k]);
      put(of_gate.values[k], GateGradient{}(slope, to_float(gates.values[k]), to_float(ups.values[k])));
      put(of_up.values[k], UpGradient{}(slope, to_float(gates.values[k])));
    }
    store_packet(dgate + i, of_gate);
    store_packet(dup + i, of_up);
  };
  if (begin + packet <= count) return put_at(std::integral_constant<int, packet>{}, begin);
  for (int64_t i = begin; i < count; ++i) put_at(std::integral_constant<int, 1>{}, i);
}

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
    const T* up = op.up.data<T>();
    if (op.dgate && op.dup) {
      T* dgate = op.dgate.data<T>();
      T* dup = op.dup.data<T>();
      const auto differentiate = [&](auto packet) {
        const Grid grid{.blocks = blocks_for(count, kMapThreads * packet.value), .threads = kMapThreads, .early = true};
        launch(stream, gradients_kernel<packet.value, T>, grid, count, dy, gate, up, dgate, dup);
      };
      return by_packet<T>(kPacket<T>, differentiate, dy, gate, up, dgate, dup);
    }
    if (op.dgate) map(stream, count, GateGradient{}, op.dgate.data<T>(), dy, gate, up);
    if (op.dup) map(stream, count, UpGradient{}, op.dup.data<T>(), dy, gate);
  });
}

}  // namespace mglmm::cuda
