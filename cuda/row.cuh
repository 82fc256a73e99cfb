// The elements of one row, shared out over the threads of a block, or of a warp where rows are short.
#pragma once
#include "cuda/number.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {

// Calls `body(i)` for the first of each packet that is this thread's. The size is a multiple of `packet`.
template <int packet, typename Body>
__device__ __forceinline__ void each_packet(int64_t size, Body&& body) {
  for (int64_t i = static_cast<int64_t>(threadIdx.x) * packet; i < size; i += static_cast<int64_t>(blockDim.x) * packet)
    body(i);
}

// Calls `body(std::integral_constant)` with the packet that rows of `size` elements at these places allow.
template <typename T, typename Body, typename... Pointers>
void by_packet(int64_t size, Body&& body, const Pointers*... pointers) {
  if (size % kPacket<T> == 0 && aligned(pointers...))
    body(std::integral_constant<int, kPacket<T>>{});
  else
    body(std::integral_constant<int, 1>{});
}

inline constexpr int kHeldPackets = 2;  // of a row, that a thread keeps in registers
inline constexpr int kWarpRows = 4;     // that one block takes, where a row is a warp's

// Rows of `size` elements, each of which a team of threads goes over several times: a warp, or a block where a warp's
// registers do not hold it.
struct RowTeams {
  int64_t rows, size;
  int threads;  // of a team

  RowTeams(int64_t count, int64_t elements, int packet) : rows(count), size(elements) {
    const int64_t wanted = blocks_for(elements, int64_t{32} * kHeldPackets * packet) * 32;
    threads = static_cast<int>(wanted < 512 ? wanted : 512);
  }
  Grid grid() const {
    if (threads == 32) return {.blocks = blocks_for(rows, kWarpRows), .threads = 32 * kWarpRows};
    return {.blocks = rows, .threads = threads};
  }
  __device__ bool of_warps() const { return threads == 32; }
  // Beyond the last row there is nothing to do, for a whole warp.
  __device__ int64_t row() const {
    const auto block = static_cast<int64_t>(blockIdx.x);
    return of_warps() ? block * kWarpRows + threadIdx.x / 32 : block;
  }
  __device__ int rank() const { return static_cast<int>(of_warps() ? threadIdx.x % 32 : threadIdx.x); }
  // In every thread of the team. All of its threads come here.
  __device__ float sum(float value) const { return of_warps() ? reduce_warp<Plus>(value) : block_sum(value); }
};

// A thread's packets of one row, read at once. What registers do not hold is read again, from the cache.
template <int packet, typename T>
struct HeldRow {
  const T* row;
  Packet<T, packet> packets[kHeldPackets];

  __device__ __forceinline__ HeldRow(const RowTeams& teams, const T* begin) : row(begin) {
    for (int held = 0; held < kHeldPackets; ++held) {
      const int64_t i = static_cast<int64_t>(held * teams.threads + teams.rank()) * packet;
      if (i < teams.size) packets[held] = load_packet<packet>(row + i);
    }
  }
};

// Calls `body(i, packets...)` for the first element of each packet that is this thread's, with those of all `rows` there.
template <int packet, typename Body, typename... Ts>
__device__ __forceinline__ void each_held(const RowTeams& teams, Body&& body, const HeldRow<packet, Ts>&... rows) {
  const int64_t step = static_cast<int64_t>(teams.threads) * packet;
  int64_t i = static_cast<int64_t>(teams.rank()) * packet;
#pragma unroll
  for (int held = 0; held < kHeldPackets; ++held, i += step) {
    if (i < teams.size) body(i, rows.packets[held]...);
  }
  for (; i < teams.size; i += step) body(i, load_packet<packet>(rows.row + i)...);
}

// Of a row of the block, in every thread.
template <typename T>
__device__ __forceinline__ float log_sum_exp(const T* row, int64_t size) {
  float largest = Larger::kNone;
  each_packet<1>(size, [&](int64_t i) { largest = Larger::of(largest, to_float(row[i])); });
  largest = block_max(largest);
  const float base = largest == Larger::kNone ? 0.0F : largest;
  float total = 0;
  each_packet<1>(size, [&](int64_t i) { total += expf(to_float(row[i]) - base); });
  return base + logf(block_sum(total));
}

}  // namespace mglmm::cuda
