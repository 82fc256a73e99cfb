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
    threads = static_cast<int>(wanted < 32 ? 32 : wanted < 512 ? wanted : 512);
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
  __device__ float max(float value) const { return of_warps() ? reduce_warp<Larger>(value) : block_max(value); }
  __device__ void meet() const {
    if (of_warps())
      __syncwarp();
    else
      __syncthreads();
  }
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

  // Of the sum of two rows, which it stores at `sum`, and is rounded as it is there. x and residual begin anywhere.
  __device__ __forceinline__ HeldRow(const RowTeams& teams, const T* x, const T* residual, T* sum) : row(sum) {
    const auto added = [&](int64_t i) {
      const auto left = load_anywhere<packet>(x + i, x + teams.size);
      const auto right = load_anywhere<packet>(residual + i, residual + teams.size);
      Packet<T, packet> result;
      for (int k = 0; k < packet; ++k) put(result.values[k], to_float(left.values[k]) + to_float(right.values[k]));
      store_packet(sum + i, result);
      return result;
    };
    const int64_t step = static_cast<int64_t>(teams.threads) * packet;
    int64_t i = static_cast<int64_t>(teams.rank()) * packet;
    for (int held = 0; held < kHeldPackets; ++held, i += step) {
      if (i < teams.size) packets[held] = added(i);
    }
    for (; i < teams.size; i += step) added(i);
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

// Calls `body(i, packets...)` for what is this thread's of rows that begin anywhere: the first element of a packet of 16
// bytes, at the end of one element, and the packets of all rows. Sizes alone decide which thread has what.
template <typename Body, typename T, typename... Others>
__device__ __forceinline__ void each_packet(const RowTeams& teams, Body&& body, const T* row, const Others*... others) {
  const int64_t size = teams.size;
  const int64_t end = size / kPacket<T> * kPacket<T>;
  for (int64_t i = static_cast<int64_t>(teams.rank()) * kPacket<T>; i < end; i += teams.threads * kPacket<T>) {
    body(i, load_across(row + i, row + size), load_across(others + i, others + size)...);
  }
  for (int64_t i = end + teams.rank(); i < size; i += teams.threads)
    body(i, load_packet<1>(row + i), load_packet<1>(others + i)...);
}

// to[i] = formula(i, from[i]...) of rows that begin anywhere, in the packets that `to` may be written in. `to` may be one of
// `from`.
template <typename T, typename Formula, typename... Rows>
__device__ __forceinline__ void write_row(const RowTeams& teams, T* to, Formula&& formula, const Rows*... from) {
  const int64_t size = teams.size;
  const auto ahead = static_cast<int64_t>((16 - reinterpret_cast<uintptr_t>(to) % 16) % 16 / sizeof(T));
  const int64_t begin = ahead < size ? ahead : size;
  const int64_t end = begin + (size - begin) / kPacket<T> * kPacket<T>;
  for (int64_t i = teams.rank(); i < begin; i += teams.threads) put(to[i], formula(i, to_float(from[i])...));
  for (int64_t i = begin + static_cast<int64_t>(teams.rank()) * kPacket<T>; i < end; i += teams.threads * kPacket<T>) {
    const auto at = [&](const auto&... packets) {
      Packet<T, kPacket<T>> result;
      for (int k = 0; k < kPacket<T>; ++k) put(result.values[k], formula(i + k, to_float(packets.values[k])...));
      store_packet(to + i, result);
    };
    at(load_across(from + i, from + size)...);
  }
  for (int64_t i = end + teams.rank(); i < size; i += teams.threads) put(to[i], formula(i, to_float(from[i])...));
}

// The sum of exp(x - base) over a row, base its largest x, in every thread of the team.
struct ExpSum {
  float base, total;
  __device__ float log() const { return base + logf(total); }
};

// Largest and sum in one pass: a sum so far is scaled down when something larger comes.
template <typename T>
__device__ __forceinline__ ExpSum exp_sum(const RowTeams& teams, const T* row) {
  const auto base_of = [](float largest) { return largest == Larger::kNone ? 0.0F : largest; };
  float largest = Larger::kNone;
  float total = 0;
  each_packet(
      teams,
      [&](int64_t, const auto& packet) {
        float above = largest;
        for (const T value : packet.values) above = Larger::of(above, to_float(value));
        if (above > largest) total *= expf(largest - above);
        largest = above;
        for (const T value : packet.values) total += expf(to_float(value) - base_of(largest));
      },
      row);
  const float base = base_of(teams.max(largest));
  return {base, teams.sum(total * expf(largest - base))};
}

}  // namespace mglmm::cuda
