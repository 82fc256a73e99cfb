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

// Whether packets of 16 bytes may begin at each of these.
template <typename... Pointers>
bool aligned(const Pointers*... pointers) {
  return (((reinterpret_cast<uintptr_t>(pointers) & 15) == 0) && ...);
}

}  // namespace mglmm::cuda
