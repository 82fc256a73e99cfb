// Products of up to 16 rows by a matrix whose columns lie side by side, as a layer's weight does: those of a step of
// generation, which cost what it takes to read the weight. A block 32 columns; of the inner axis its warps take turns, 128
// numbers each, and add up in the end. What a column holds of 32 neighbouring numbers comes in four packets, one to a lane,
// in the order in which tensor cores ask for them if those of a row come in the same: a sum does not mind its order.
// Packets of the weight come to places of shared memory that only the lane which asked for them reads, so that no thread
// waits for another, and a multiprocessor has room for blocks of the next product beside those of this one. Those ask for
// the first of their weight at once, if it is settled, and wait for what is in front of them then, so that memory need not
// idle. Which rows come along changes no row, as a row of a result is made of its own numbers alone, and no size but that of
// the inner axis orders its sum.
#pragma once
#include <algorithm>
#include <type_traits>

#include "cuda/product.h"
#include "cuda/reduce.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {

namespace {

constexpr int kFewThreads = 256;
constexpr int kFewWarps = kFewThreads / 32;
constexpr int kFewColumns = 32;
constexpr int kFewTurn = 128;  // numbers, before another warp's
constexpr int kFewSteps = kFewTurn / 32;
// Steps that there is room for, one that is multiplied and those on their way: 64 KiB a block where three of them have room
// on a multiprocessor, 48 KiB where not.
constexpr int kFewRing = 4;
constexpr int kFewRingSmall = 3;
constexpr int kFewRingBytes = 160 << 10;  // of a multiprocessor, for the large one
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int kFewBlocks = 2;  // of a multiprocessor, whose registers they share
#else
constexpr int kFewBlocks = 3;
#endif
using FewPacket = Packet<uint32_t, 4>;  // 8 numbers

// Of a warp. What it has added up takes the place of packets in the end: rows that are 8 longer, so that those of half a
// warp lie in all banks.
template <int ring>
union FewMemory {
  FewPacket packets[ring][kFewColumns / 8][32];
  float sums[kFewRows][kFewColumns + 8];
};

struct FewSizes {
  int64_t rows, columns, inner;
};

// `tiles` of 8 rows. What is null is not added. Whether b `is_settled`: CudaStream.
template <int tiles, int ring, typename T, typename Result>
__global__ void __launch_bounds__(kFewThreads, kFewBlocks)
    few_rows_product_kernel(FewSizes sizes, bool is_settled, const T* a, const T* b, const T* bias, const Result* addend,
                            Result* y) {
  let_next_begin();
  if (!is_settled) wait_for_previous();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  auto* memory = dynamic_shared<FewMemory<ring>>();
  FewMemory<ring>& own = memory[warp];
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) * kFewColumns;
  // How far on along the inner axis the packets of the step after `step` are.
  const auto stride = [](int step) {
    return step % kFewSteps == kFewSteps - 1 ? kFewWarps * kFewTurn - 32 * (kFewSteps - 1) : 32;
  };
  const int64_t first = warp * kFewTurn + lane % 4 * 8;
  // Where the next packets come from, of each column; one that is not there is the last, and nobody asks for its sum.
  const T* columns[kFewColumns / 8];
#pragma unroll
  for (int n = 0; n < kFewColumns / 8; ++n)
    columns[n] = b + std::min(first_column + 8 * n + lane / 4, sizes.columns - 1) * sizes.inner + first;
  int64_t left_of_columns = sizes.inner - first;
  const auto ask = [&](int step) {
    const bool exists = left_of_columns > 0;
#pragma unroll
    for (int n = 0; n < kFewColumns / 8; ++n) {
      copy_async(&own.packets[step % ring][n][lane], exists ? columns[n] : b, exists);
      columns[n] += stride(step);
    }
    left_of_columns -= stride(step);
    commit_copies();
  };
#pragma unroll
  for (int step = 0; step < ring - 1; ++step) ask(step);
  if (is_settled) wait_for_previous();
  // Of the sums that this thread completes: of row `warp` of each tile, column `lane`.
  const int64_t column = first_column + lane;
  const auto completes = [&](int tile) { return column < sizes.columns && 8 * tile + warp < sizes.rows; };
  float first_sums[tiles] = {}, addends[tiles] = {};
#pragma unroll
  for (int tile = 0; tile < tiles; ++tile) {
    if (!completes(tile)) continue;
    if (bias != nullptr) first_sums[tile] = to_float(bias[column]);
    if (addend != nullptr) addends[tile] = to_float(addend[(8 * tile + warp) * sizes.columns + column]);
  }
  FewPacket next[tiles];
  int64_t at = first;
  const auto ask_rows = [&](int step) {
#pragma unroll
    for (int tile = 0; tile < tiles; ++tile) {
      const int row = 8 * tile + lane / 4;
      next[tile] = row < sizes.rows && at < sizes.inner
                       ? load_packet<4>(reinterpret_cast<const uint32_t*>(a + row * sizes.inner + at))
                       : FewPacket{};
    }
    at += stride(step);
  };
  ask_rows(0);
  float products[kFewColumns / 8][4] = {};
  const auto turns = (sizes.inner - warp * kFewTurn + kFewWarps * kFewTurn - 1) / (kFewWarps * kFewTurn);
  const int steps = static_cast<int>(turns) * kFewSteps;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<ring - 2>();
    FewPacket left[tiles], right[kFewColumns / 8];
#pragma unroll
    for (int n = 0; n < kFewColumns / 8; ++n) right[n] = own.packets[step % ring][n][lane];
#pragma unroll
    for (int tile = 0; tile < tiles; ++tile) left[tile] = next[tile];
    ask(step + ring - 1);  // to where the step before this one was
    ask_rows(step + 1);
#pragma unroll
    for (int half = 0; half < 4; half += 2) {
      const FewPacket& upper = left[0];
      const FewPacket lower = tiles == 2 ? left[tiles - 1] : FewPacket{};
      const uint32_t rows[4] = {upper.values[half], lower.values[half], upper.values[half + 1], lower.values[half + 1]};
#pragma unroll
      for (int n = 0; n < kFewColumns / 8; ++n)
        multiply_add<T>(products[n], rows, {right[n].values[half], right[n].values[half + 1]});
    }
  }
  wait_for_copies<0>();
  __syncwarp();
#pragma unroll
  for (int n = 0; n < kFewColumns / 8; ++n) {
#pragma unroll
    for (int tile = 0; tile < tiles; ++tile) {
      auto* pair = reinterpret_cast<float2*>(&own.sums[8 * tile + lane / 4][8 * n + lane % 4 * 2]);
      *pair = {products[n][2 * tile], products[n][2 * tile + 1]};
    }
  }
  __syncthreads();
#pragma unroll
  for (int tile = 0; tile < tiles; ++tile) {
    if (!completes(tile)) continue;
    const int row = 8 * tile + warp;
    float sum = first_sums[tile];
    for (int part = 0; part < kFewWarps; ++part) sum += memory[part].sums[row][lane];
    put(y[row * sizes.columns + column], addend == nullptr ? sum : addends[tile] + sum);
  }
}

template <typename T, typename Result>
void launch_few_rows(CudaStream& stream, const Product& p, const T* a, const T* b, const T* bias, Result* y) {
  const FewSizes sizes{p.rows, p.columns, p.inner};
  const auto* addend = reinterpret_cast<const Result*>(p.addend);
  const bool is_settled =
      stream.is_settled(reinterpret_cast<const std::byte*>(b), p.columns * p.inner * static_cast<int64_t>(sizeof(T)));
  const auto launch_ring = [&](auto tiles, auto ring) {
    const Grid grid{.blocks = blocks_for(p.columns, kFewColumns),
                    .threads = kFewThreads,
                    .shared_bytes = kFewWarps * sizeof(FewMemory<ring.value>),
                    .early = true};
    launch(stream, few_rows_product_kernel<tiles.value, ring.value, T, Result>, grid, sizes, is_settled, a, b, bias, addend,
           y);
  };
  const auto launch_tiles = [&](auto tiles) {
    if (stream.shared_bytes() >= kFewRingBytes)
      launch_ring(tiles, std::integral_constant<int, kFewRing>{});
    else
      launch_ring(tiles, std::integral_constant<int, kFewRingSmall>{});
  };
  if (p.rows <= 8)
    launch_tiles(std::integral_constant<int, 1>{});
  else
    launch_tiles(std::integral_constant<int, 2>{});
}

}  // namespace

inline bool is_few_rows(const Product& p, const std::byte* b) {
  return size_of(p.dtype) == 2 && p.stack == 1 && p.rows <= kFewRows && !p.a_transposed && p.b_transposed &&
         p.inner % 8 == 0 && aligned(b);
}

// A product that is_few_rows(), as product(); `a` begins at 16 bytes.
inline void multiply_few_rows(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b,
                              const std::byte* bias, std::byte* y) {
  by_types(p, y, [&]<typename T, typename Result>(Type<T>, Result* result) {
    if constexpr (sizeof(T) == 2) {
      launch_few_rows(stream, p, reinterpret_cast<const T*>(a), reinterpret_cast<const T*>(b),
                      reinterpret_cast<const T*>(bias), result);
    }
  });
}

}  // namespace mglmm::cuda
