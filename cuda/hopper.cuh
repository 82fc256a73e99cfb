// What a group of four warps asks of the tensor cores of sm_90a, and how tiles come to it without passing through registers.
// On a GPU one instruction each (PTX ISA: wgmma, mbarrier, cp.async.bulk.tensor), in the simulator functions to the same
// layouts. Of a product d += a b
//   d [64, 8 blocks]  f32: warp w of the group has rows 16 w ... 16 w + 15, of each 8 columns as tensor_cores.cuh says of d
//   a [64, 16]        in shared memory, or in registers: of the 16 rows of a warp as tensor_cores.cuh says of a
//   b [16, 8 blocks]  in shared memory
// Shared memory holds columns of tiles, 64 numbers (128 bytes) wide, row after row from an address that is a multiple of
// 1024, in the pattern that TMA writes: the 16-byte pieces of row r in the order that XOR with r % 8 gives.
#pragma once
#include "cuda/tensor_cores.cuh"
#include "cuda/tensor_map.h"

namespace mglmm::cuda {

inline constexpr int kGroupThreads = 128;

// Of shared memory: threads and bytes that a phase waits for. Phases are numbered by parity, 0 first.
struct Barrier {
  uint64_t state;
};

#if defined(MGLMM_SIMULATED)

using simulator::arrive;
using simulator::commit_products;
using simulator::expect_bytes;
using simulator::fence_async;
using simulator::fence_products;
using simulator::give_registers;
using simulator::group_arrive;
using simulator::group_barrier;
using simulator::init_barrier;
using simulator::load_box;
using simulator::multiply_async;
using simulator::shared_address;
using simulator::take_registers;
using simulator::wait;
using simulator::wait_for_products;

#else

// By one thread. Others, and the copy engine, know it after fence_async() of that thread and a barrier.
__device__ __forceinline__ void init_barrier(Barrier* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void arrive(Barrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and says that so many bytes come besides.
__device__ __forceinline__ void expect_bytes(Barrier* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes)
               : "memory");
}
// Until a phase of this parity has ended: of a new barrier, the one of parity 1 has.
__device__ __forceinline__ void wait(Barrier* barrier, int parity) {
  uint32_t ended = 0;
  while (ended == 0) {
    asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
                 : "=r"(ended)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
  }
}

// The box of `map` at these places along its axes, to an address that is a multiple of 1024. By one thread.
__device__ __forceinline__ void load_box(void* to, const TensorMap& map, Barrier* barrier, const int (&at)[4]) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3,%4,%5,%6}], [%2];" ::"r"(
          shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
      : "memory");
}

// What this thread has stored in shared memory comes before what products read and boxes write there afterwards.
__device__ __forceinline__ void fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// As __syncthreads(), of so many threads that name the same `id`, 1 to 15.
__device__ __forceinline__ void group_barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// As one of them, but does not wait for the others.
__device__ __forceinline__ void group_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// A group of four warps has `count` registers a thread from here on, fewer or more than before: a multiple of 8, 24 to 256.
// Those that groups of a block have must not be more together than at its beginning.
template <int count>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}

template <typename T>
struct InputTypes {
  static constexpr char kNames[] = ".f16.f16";
};
template <>
struct InputTypes<bf16> {
  static constexpr char kNames[] = ".bf16.bf16";
};

// d += a b, or d = a b where not `accumulate`: a and b from shared memory, k neighbours in both.
template <typename T>
__device__ __forceinline__ void multiply_async(float (&d)[16][4], uint64_t a, uint64_t b, bool accumulate) {
  asm volatile(
      "{.reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32%67 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
      "%64, %65, p, 1, 1, 0, 0;}"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
        "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
        "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]), "+f"(d[12][0]),
        "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]),
        "+f"(d[15][3])
      : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)), "C"(InputTypes<T>::kNames));
}

// d += a b, a from registers; of b, in shared memory, columns are neighbours.
template <typename T>
__device__ __forceinline__ void multiply_async(float (&d)[8][4], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32%37 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
      "{%32,%33,%34,%35}, %36, 1, 1, 1, 1;"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "C"(InputTypes<T>::kNames));
}
template <typename T>
__device__ __forceinline__ void multiply_async(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32%69 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
      "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
      "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
      "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
      "{%64,%65,%66,%67}, %68, 1, 1, 1, 1;"
      : "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]), "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]),
        "+f"(d[1][3]), "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]), "+f"(d[3][0]), "+f"(d[3][1]),
        "+f"(d[3][2]), "+f"(d[3][3]), "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]), "+f"(d[5][0]),
        "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]), "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]), "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]),
        "+f"(d[8][3]), "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]), "+f"(d[10][0]), "+f"(d[10][1]),
        "+f"(d[10][2]), "+f"(d[10][3]), "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]), "+f"(d[12][0]),
        "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]), "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]), "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]),
        "+f"(d[15][3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "C"(InputTypes<T>::kNames));
}

// Keeps the compiler from moving what it does with these registers to the other side.
template <int blocks>
__device__ __forceinline__ void pin(float (&d)[blocks][4]) {
#pragma unroll
  for (int n = 0; n < blocks; ++n) asm volatile("" : "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])::"memory");
}
template <int blocks>
__device__ __forceinline__ void pin(uint32_t (&a)[blocks][4]) {
#pragma unroll
  for (int n = 0; n < blocks; ++n) asm volatile("" : "+r"(a[n][0]), "+r"(a[n][1]), "+r"(a[n][2]), "+r"(a[n][3])::"memory");
}

// Before the first product into `d`, with `a` from registers, since they were touched.
template <int blocks>
__device__ __forceinline__ void fence_products(float (&d)[blocks][4]) {
  pin(d);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
template <int blocks, int steps>
__device__ __forceinline__ void fence_products(float (&d)[blocks][4], uint32_t (&a)[steps][4]) {
  pin(a);
  fence_products(d);
}
// The products since the last call are a group.
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until all groups but the `pending` newest are done, those into `d` among them. They read `a` until then: what comes next
// in its place must not take its registers sooner.
template <int pending, int blocks>
__device__ __forceinline__ void wait_for_products(float (&d)[blocks][4]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
  pin(d);
}
template <int pending, int blocks, int steps>
__device__ __forceinline__ void wait_for_products(float (&d)[blocks][4], uint32_t (&a)[steps][4]) {
  wait_for_products<pending>(d);
  pin(a);
}

#endif

// How a product finds a tile (PTX ISA: matrix descriptor), all in units of 16 bytes: where it begins, the distance to the
// next 64 numbers along a row where k does not run along it, the distance to the next 8 rows; and that the pattern is of 128
// bytes.
__device__ __forceinline__ uint64_t matrix_at(const void* tile, int next_column_bytes) {
  constexpr uint64_t kNext8Rows = 8 * 128;
  constexpr uint64_t kPatternOf128Bytes = 1;
  return (shared_address(tile) & 0x3ffff) >> 4 | static_cast<uint64_t>(next_column_bytes) >> 4 << 16 |
         kNext8Rows >> 4 << 32 | kPatternOf128Bytes << 62;
}

// The same, so many bytes further on, a multiple of 16: only the first of its words changes.
__device__ __forceinline__ uint64_t further(uint64_t matrix, int bytes) {
  return matrix >> 32 << 32 | (static_cast<uint32_t>(matrix) + static_cast<uint32_t>(bytes / 16));
}

}  // namespace mglmm::cuda
