// y[i] = formula(a[i], b[j]) with b broadcast to a.
#pragma once
#include "cuda/map.cuh"
#include "kernels/axes.h"

namespace mglmm::cuda {
namespace {

// A packet lies within one row of the last axis: rows are a multiple of it.
template <int packet, typename T, typename Formula>
__global__ void __launch_bounds__(kMapThreads) broadcast_kernel(Axes axes, const T* a, const T* b, T* y, Formula formula) {
  const int64_t run = axes.size[axes.last()];
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kMapThreads + threadIdx.x) * packet;
  if (i >= axes.count()) return;
  const int64_t row = i / run;
  const bool wide = axes.wide[axes.last()];
  const T* from = b + axes.smaller_offset(row) + (wide ? 0 : i - row * run);
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
  constexpr int kWide = kPacket<T>;
  if (run % kWide == 0 && aligned(a, b, y)) {
    launch(stream, broadcast_kernel<kWide, T, Formula>, {.blocks = blocks_for(axes.count(), kMapThreads * kWide)}, axes, a,
           b, y, formula);
  } else {
    launch(stream, broadcast_kernel<1, T, Formula>, {.blocks = blocks_for(axes.count(), kMapThreads)}, axes, a, b, y,
           formula);
  }
}

}  // namespace mglmm::cuda
