// What a warp asks of tensor cores, copies that do not pass through registers, and powers of 2. On a GPU one instruction
// each (PTX ISA: mma.m16n8k16, ldmatrix, cp.async, ex2; sm_80 and up), in the simulator functions to the same layouts.
//
// Of a fragment lane 4 g + t holds, as pairs of neighbouring numbers in a word, the earlier one in its low half:
//   a [16, 16]  words 0 to 3: (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8)
//   b [16, 8]   words 0, 1: (2t, g), (2t + 8, g), pairs down a column
//   d [16, 8]   f32: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1)
#pragma once
#include "cuda/number.cuh"
#if defined(MGLMM_SIMULATED)
#include "cuda/simulator/tensor_cores.h"
#endif

namespace mglmm::cuda {

// Two numbers as T, in a word.
template <typename T>
__device__ __forceinline__ uint32_t pair_of(float low, float high) {
#if defined(MGLMM_SIMULATED)
  return simulator::pair_of(T(low), T(high));
#else
  if constexpr (std::is_same_v<T, bf16>) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  } else {
    const __half2 pair = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&pair);
  }
#endif
}

#if defined(MGLMM_SIMULATED)

using simulator::commit_copies;
using simulator::copy_async;
using simulator::load_matrices;
using simulator::load_matrices_transposed;
using simulator::multiply_add;
using simulator::power_of_2;
using simulator::wait_for_copies;

inline float reciprocal(float x) { return 1.0F / x; }

#else

// 2 to the power of x, 0 where that is below 2^-126: one instruction, as exp2f() is not.
__device__ __forceinline__ float power_of_2(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

// 1 / x to its last bit but one, one instruction as well.
__device__ __forceinline__ float reciprocal(float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

__device__ __forceinline__ uint32_t shared_address(const void* memory) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(memory));
}

// d += a b, numbers of T.
template <typename T>
__device__ __forceinline__ void multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, bf16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

// Four matrices of 8 x 8 numbers of 16 bits from shared memory: lane 8 m + r says where row r of matrix m lies, 16 bytes
// aligned to 16. Lane 4 g + t gets (g, 2t) and (g, 2t + 1) of each; transposed (2t, g) and (2t + 1, g).
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

// 16 bytes into shared memory, zeros where `exists` is false, some time before wait_for_copies says so to this thread;
// others know it after a barrier.
__device__ __forceinline__ void copy_async(void* to, const void* from, bool exists) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(exists ? 16 : 0)
               : "memory");
}
// The copies of this thread since the last call are a group.
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all groups but the `pending` newest are there.
template <int pending>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

#endif

}  // namespace mglmm::cuda
