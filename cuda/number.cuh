// Stored numbers as f32 and back, one at a time or as packets of up to 16 bytes that one instruction moves.
#pragma once
#include <cstdint>

#include "cuda/launch.cuh"
#include "kernels/dtype.h"
#if !defined(MGLMM_SIMULATED)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace mglmm::cuda {

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ void put(float& to, float value) { to = value; }

#if defined(MGLMM_SIMULATED)
inline float to_float(bf16 value) { return value; }
inline float to_float(f16 value) { return value; }
inline void put(bf16& to, float value) { to = bf16(value); }
inline void put(f16& to, float value) { to = f16(value); }
#else
__device__ __forceinline__ float to_float(bf16 value) { return __uint_as_float(static_cast<uint32_t>(value.bits) << 16); }
__device__ __forceinline__ float to_float(f16 value) { return __half2float(__ushort_as_half(value.bits)); }
__device__ __forceinline__ void put(bf16& to, float value) { to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value)); }
__device__ __forceinline__ void put(f16& to, float value) { to.bits = __half_as_ushort(__float2half_rn(value)); }
#endif

// `count` neighbouring elements, aligned as a whole.
template <typename T, int count>
struct alignas(sizeof(T) * count) Packet {
  T values[count];
};

template <int count, typename T>
__device__ __forceinline__ Packet<T, count> load_packet(const T* from) {
  return *reinterpret_cast<const Packet<T, count>*>(from);
}
template <typename T, int count>
__device__ __forceinline__ void store_packet(T* to, const Packet<T, count>& packet) {
  *reinterpret_cast<Packet<T, count>*>(to) = packet;
}

// Elements of T in 16 bytes.
template <typename T>
inline constexpr int kPacket = 16 / static_cast<int>(sizeof(T));

// 16 bytes that begin anywhere: of both aligned packets they lie in, unless the second goes beyond `end`. What else lies in
// those is dropped; another block may be writing it.
template <typename T>
__device__ __forceinline__ Packet<T, kPacket<T>> load_across(const T* from, const T* end) {
  const auto skip = reinterpret_cast<uintptr_t>(from) % 16;
  if (skip == 0) return load_packet<kPacket<T>>(from);
  Packet<T, kPacket<T>> result;
  const auto* bytes = reinterpret_cast<const std::byte*>(from) - skip;
  if (bytes + 32 > reinterpret_cast<const std::byte*>(end)) {
    for (int k = 0; k < kPacket<T>; ++k) result.values[k] = from[k];
    return result;
  }
  const auto words = load_packet<4>(reinterpret_cast<const uint32_t*>(bytes));
  const auto next = load_packet<4>(reinterpret_cast<const uint32_t*>(bytes + 16));
  uint32_t all[8];
  for (int k = 0; k < 4; ++k) {
    all[k] = words.values[k];
    all[k + 4] = next.values[k];
  }
  for (int k = 0; k < 6; ++k) all[k] = (skip & 8) != 0 ? all[k + 2] : all[k];
  for (int k = 0; k < 5; ++k) all[k] = (skip & 4) != 0 ? all[k + 1] : all[k];
  for (int k = 0; k < 4; ++k) {
    all[k] = static_cast<uint32_t>((static_cast<uint64_t>(all[k + 1]) << 32 | all[k]) >> (skip % 4 * 8));
  }
  memcpy(&result, all, sizeof result);
  return result;
}

// A packet of 16 bytes, or one element, that begins anywhere.
template <int packet, typename T>
__device__ __forceinline__ Packet<T, packet> load_anywhere(const T* from, const T* end) {
  if constexpr (packet == 1)
    return load_packet<1>(from);
  else
    return load_across(from, end);
}

// Whether packets of 16 bytes may begin at each of these.
template <typename... Pointers>
bool aligned(const Pointers*... pointers) {
  return (((reinterpret_cast<uintptr_t>(pointers) & 15) == 0) && ...);
}

}  // namespace mglmm::cuda
