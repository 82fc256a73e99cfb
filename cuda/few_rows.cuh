// Products of up to 16 rows by a matrix whose columns lie side by side, as a layer's weight does: those of a step of
// generation, which cost what it takes to read the weight. A block 32 columns, or 16; of the inner axis its warps take
// turns, 128 numbers each, and add up in the end. What a column holds of 32 neighbouring numbers comes in four packets, one
// to a lane, in the order in which tensor cores ask for them if those of a row come in the same: a sum does not mind its
// order. Which rows come along changes no row, as a row of a result is made of its own numbers alone, and no size but that
// of the inner axis orders its sum.
#pragma once
#include <type_traits>

#include "cuda/product.h"
#include "cuda/reduce.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {

namespace {

constexpr int kFewThreads = 256;
constexpr int kFewWarps = kFewThreads / 32;
constexpr int kFewSteps = 4;  // of 32 numbers, before another warp's turn
constexpr int kFewAhead = 2;  // steps that are on their way while one is multiplied
// Of a block: as many as two tiles of rows have the registers for. Half of them was 3 % slower, though more blocks run at
// once.
template <int tiles>
inline constexpr int kFewColumns = tiles == 1 ? 32 : 16;

template <int tiles>
struct FewSums {
  float values[kFewWarps][8 * tiles][kFewColumns<tiles>];
};

struct FewSizes {
  int64_t rows, columns, inner;
};

// `tiles` of 8 rows. What is null is not added.
template <int tiles, typename T, typename Result>
__global__ void __launch_bounds__(kFewThreads, 2)
    few_rows_product_kernel(FewSizes sizes, const T* a, const T* b, const T* bias, const Result* addend, Result* y) {
  begin_early();
  using Words = Packet<uint32_t, 4>;  // 8 numbers
  constexpr int kColumns = kFewColumns<tiles>;
  auto& sums = shared<FewSums<tiles>>().values;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t first_column = static_cast<int64_t>(blockIdx.x) * kColumns;
  const auto words_at = [&](const T* matrix, int64_t row, int64_t rows, int64_t at) {
    if (row >= rows || at >= sizes.inner) return Words{};
    return load_packet<4>(reinterpret_cast<const uint32_t*>(matrix + row * sizes.inner + at));
  };
  constexpr int kTurn = 32 * kFewSteps;
  float products[kColumns / 8][4] = {};
  Words left[kFewAhead][tiles], right[kFewAhead][kColumns / 8];
  const auto ask = [&](int step, int64_t turn) {
    const int64_t at = turn + 32 * step + lane % 4 * 8;
#pragma unroll
    for (int n = 0; n < kColumns / 8; ++n)
      right[step % kFewAhead][n] = words_at(b, first_column + 8 * n + lane / 4, sizes.columns, at);
#pragma unroll
    for (int tile = 0; tile < tiles; ++tile) left[step % kFewAhead][tile] = words_at(a, 8 * tile + lane / 4, sizes.rows, at);
  };
#pragma unroll
  for (int step = 0; step < kFewAhead; ++step) ask(step, warp * kTurn);
#pragma unroll 1
  for (int64_t turn = warp * kTurn; turn < sizes.inner; turn += kFewWarps * kTurn) {
#pragma unroll
    for (int step = 0; step < kFewSteps; ++step) {
#pragma unroll
      for (int half = 0; half < 4; half += 2) {
        const Words& upper = left[step % kFewAhead][0];
        const Words lower = tiles == 2 ? left[step % kFewAhead][tiles - 1] : Words{};
        const uint32_t rows[4] = {upper.values[half], lower.values[half], upper.values[half + 1], lower.values[half + 1]};
#pragma unroll
        for (int n = 0; n < kColumns / 8; ++n)
          multiply_add<T>(products[n], rows,
                          {right[step % kFewAhead][n].values[half], right[step % kFewAhead][n].values[half + 1]});
      }
      const int next = step + kFewAhead;
      ask(next % kFewSteps, next < kFewSteps ? turn : turn + kFewWarps * kTurn);
    }
  }
#pragma unroll
  for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 2 * tiles; ++i) sums[warp][lane / 4 + i / 2 * 8][8 * n + lane % 4 * 2 + i % 2] = products[n][i];
  }
  __syncthreads();
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < sizes.rows * kColumns; i += kFewThreads) {
    const int row = i / kColumns;
    const int64_t column = first_column + i % kColumns;
    if (column >= sizes.columns) continue;
    float sum = bias == nullptr ? 0.0F : to_float(bias[column]);
    for (int part = 0; part < kFewWarps; ++part) sum += sums[part][row][i % kColumns];
    const int64_t place = row * sizes.columns + column;
    put(y[place], addend == nullptr ? sum : to_float(addend[place]) + sum);
  }
}

template <typename T, typename Result>
void launch_few_rows(CudaStream& stream, const Product& p, const T* a, const T* b, const T* bias, Result* y) {
  const FewSizes sizes{p.rows, p.columns, p.inner};
  const auto* addend = reinterpret_cast<const Result*>(p.addend);
  const auto launch_tiles = [&](auto tiles) {
    const Grid grid{.blocks = blocks_for(p.columns, kFewColumns<tiles.value>), .threads = kFewThreads, .early = true};
    launch(stream, few_rows_product_kernel<tiles.value, T, Result>, grid, sizes, a, b, bias, addend, y);
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
