// y[i] = formula(a[i], b[j]) with b broadcast to a.
#pragma once
#include "cuda/map.cuh"
#include "kernels/axes.h"

namespace mglmm::cuda {
namespace {

// b is repeated as a whole: along the blocks' y.
template <int packet, typename T, typename Formula>
__global__ void __launch_bounds__(kMapThreads)
    broadcast_whole_kernel(int64_t run, const T* a, const T* b, T* y, Formula formula) {
  const int64_t j = (static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * packet;
  if (j >= run) return;
  const int64_t i = blockIdx.y * run + j;
  const auto left = load_packet<packet>(a + i);
  const auto right = load_packet<packet>(b + j);
  Packet<T, packet> result;
  for (int k = 0; k < packet; ++k) put(result.values[k], formula(to_float(left.values[k]), to_float(right.values[k])));
  store_packet(y + i, result);
}

// A packet lies within one row of the last axis: rows are a multiple of it. Index counts the elements: divisions of 64 bits
// would take longer than the memory.
template <int packet, typename Index, typename T, typename Formula>
__global__ void __launch_bounds__(kMapThreads)
    broadcast_kernel(const __grid_constant__ Axes axes, int64_t count, const T* a, const T* b, T* y, Formula formula) {
  const auto run = static_cast<Index>(axes.size[axes.last()]);
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * packet;
  if (i >= count) return;
  const Index row = static_cast<Index>(i) / run;
  const bool wide = axes.wide[axes.last()];
  const T* from = b + axes.smaller_offset(row) + (wide ? 0 : i - static_cast<int64_t>(row * run));
  const auto left = load_packet<packet>(a + i);
  Packet<T, packet> right, result;
  if (wide) {
    for (T& value : right.values) value = *from;
  } else {
    right = load_packet<packet>(from);
  }
  for (int k = 0; k < packet; ++k) put(result.values[k], formula(to_float(left.values[k]), to_float(right.values[k])));
  store_packet(y + i, result);
}

}  // namespace

template <typename T, typename Formula>
void broadcast(CudaStream& stream, const Axes& axes, const T* a, const T* b, T* y, Formula formula) {
  if (axes.rank == 1 && !axes.wide[0]) return map(stream, axes.count(), formula, y, a, b);
  const int64_t run = axes.size[axes.last()];
  const int64_t count = axes.count();
  const auto with = [&](auto packet) {
    constexpr int kElements = packet.value;
    if (axes.rank == 2 && axes.wide[0] && run >= kMapThreads * kElements && axes.size[0] <= UINT16_MAX) {
      launch(stream, broadcast_whole_kernel<kElements, T, Formula>,
             {.blocks = blocks_for(run, kMapThreads * kElements), .y = axes.size[0]}, run, a, b, y, formula);
      return;
    }
    const Grid grid{.blocks = blocks_for(count, kMapThreads * kElements)};
    if (count <= INT32_MAX)
      launch(stream, broadcast_kernel<kElements, uint32_t, T, Formula>, grid, axes, count, a, b, y, formula);
    else
      launch(stream, broadcast_kernel<kElements, int64_t, T, Formula>, grid, axes, count, a, b, y, formula);
  };
  if (run % kPacket<T> == 0 && aligned(a, b, y))
    with(std::integral_constant<int, kPacket<T>>{});
  else
    with(std::integral_constant<int, 1>{});
}

}  // namespace mglmm::cuda
