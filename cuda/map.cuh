// Elementwise work on tensors of one shape: y[i] = formula(x[i], ...), packets of 16 bytes where they are aligned.
#pragma once
#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kMapThreads = 256;

template <int packet, typename Formula, typename To, typename... From>
__global__ void __launch_bounds__(kMapThreads) map_kernel(int64_t count, Formula formula, To* y, const From*... x) {
  begin_early();
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * packet;
  if (begin + packet <= count) {
    const auto put_all = [&](const auto&... loaded) {
      Packet<To, packet> result;
#pragma unroll
      for (int i = 0; i < packet; ++i) put(result.values[i], formula(to_float(loaded.values[i])...));
      store_packet(y + begin, result);
    };
    put_all(load_packet<packet>(x + begin)...);
  } else {
    for (int64_t i = begin; i < count; ++i) put(y[i], formula(to_float(x[i])...));
  }
}

}  // namespace

// Formula: float operator()(float...) const. The widest type decides the packet.
template <typename Formula, typename To, typename... From>
void map(CudaStream& stream, int64_t count, Formula formula, To* y, const From*... x) {
  constexpr int kWidest = sizeof(To) > 2 || ((sizeof(From) > 2) || ...) ? 4 : 8;
  const auto grid = [count](int packet) { return Grid{.blocks = blocks_for(count, kMapThreads * packet), .early = true}; };
  if (aligned(y, x...))
    launch(stream, map_kernel<kWidest, Formula, To, From...>, grid(kWidest), count, formula, y, x...);
  else
    launch(stream, map_kernel<1, Formula, To, From...>, grid(1), count, formula, y, x...);
}

}  // namespace mglmm::cuda
