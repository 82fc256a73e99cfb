// The words of CUDA that kernels use, for a plain C++ compiler.
#pragma once
#include <bit>
#include <cmath>
#include <cstring>

#include "cuda/simulator/grid.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx ::mglmm::simulator::thread_index
#define blockIdx ::mglmm::simulator::block_index
#define blockDim ::mglmm::simulator::grid.threads
#define gridDim ::mglmm::simulator::grid.blocks

namespace mglmm {

using Where = std::source_location;

struct float2 {
  float x, y;
};

inline void __syncthreads(const Where& where = Where::current()) { simulator::barrier(where); }
inline void __syncwarp(uint32_t mask = 0xffffffff, const Where& where = Where::current()) {
  simulator::exchange(mask, 0, where);
}

namespace simulator {

// What lane `from` holds of `value`; a lane beyond the group of `width` gives the caller's own.
template <typename T>
T value_of_lane(uint32_t mask, T value, int from, int width, const Where& where) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const auto& values = exchange(mask, bits, where);
  const int self = lane();
  const bool beyond = from < 0 || from / width != self / width;
  const int source = beyond ? self : from;
  if ((mask >> source & 1) == 0) fail("a value is taken from a lane that is not in the mask", where);
  std::memcpy(&value, &values[static_cast<size_t>(source)], sizeof value);
  return value;
}

}  // namespace simulator

template <typename T>
T __shfl_sync(uint32_t mask, T value, int from, int width = 32, const Where& where = Where::current()) {
  return simulator::value_of_lane(mask, value, simulator::lane() / width * width + from % width, width, where);
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32, const Where& where = Where::current()) {
  return simulator::value_of_lane(mask, value, simulator::lane() ^ bits, width, where);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, int by, int width = 32, const Where& where = Where::current()) {
  return simulator::value_of_lane(mask, value, simulator::lane() + by, width, where);
}
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, int by, int width = 32, const Where& where = Where::current()) {
  return simulator::value_of_lane(mask, value, simulator::lane() - by, width, where);
}
inline uint32_t __ballot_sync(uint32_t mask, int predicate, const Where& where = Where::current()) {
  const auto& values = simulator::exchange(mask, predicate != 0 ? 1 : 0, where);
  uint32_t ballot = 0;
  for (size_t lane = 0; lane < simulator::kWarp; ++lane) {
    if ((mask >> lane & 1) != 0 && values[lane] != 0) ballot |= uint32_t{1} << lane;
  }
  return ballot;
}
inline int __any_sync(uint32_t mask, int predicate, const Where& where = Where::current()) {
  return __ballot_sync(mask, predicate, where) != 0 ? 1 : 0;
}
inline int __all_sync(uint32_t mask, int predicate, const Where& where = Where::current()) {
  return __ballot_sync(mask, predicate, where) == mask ? 1 : 0;
}
inline int __popc(uint32_t bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// One thread runs at a time, so a plain change is atomic.
template <typename T>
T atomicAdd(T* place, T value) {
  const T before = *place;
  *place = before + value;
  return before;
}
template <typename T>
T atomicMin(T* place, T value) {
  const T before = *place;
  if (value < before) *place = value;
  return before;
}
template <typename T>
T atomicMax(T* place, T value) {
  const T before = *place;
  if (value > before) *place = value;
  return before;
}

inline float __expf(float x) { return std::exp(x); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }

}  // namespace mglmm
