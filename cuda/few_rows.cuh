// Products of up to 16 rows by a matrix whose columns lie side by side, as a layer's weight does: those of a step of
// generation, which cost what it takes to read the weight. A block 32 columns; of the inner axis its warps take turns, 128
// numbers each, and add up in the end. What a column holds of 32 neighbouring numbers comes in four packets, one to a lane,
// in the order in which tensor cores ask for them if those of a row come in the same: a sum does not mind its order.
// Packets of the weight come to places of shared memory that only the lane which asked for them reads, so that no thread
// waits for another, and a multiprocessor has room for blocks of the next product beside those of this one. Those ask for
// the first of their weight at once, if it is settled, and wait for what is in front of them then, so that memory need not
// idle. Which rows come along changes no row, as a row of a result is made of its own numbers alone, and no size but that of
// the inner axis orders its sum.
//
// In a graph, products of the same rows that follow one another, as those for queries, keys and values do, are one launch:
// between two launches memory idles. They wait for each other (CudaStream::hold), and for nothing else.
#pragma once
#include <algorithm>
#include <array>
#include <memory>
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
constexpr int64_t kFewInner = 1 << 30;  // and more: places would not be 32 bits
constexpr int kFewTogether = 3;         // products of a launch at most
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

// y = a b + bias + addend, with a that the products of a launch have in common. What is null is not added. Whether b
// `is_settled`: CudaStream.
template <typename T, typename Result>
struct FewProduct {
  const T* b = nullptr;
  const T* bias = nullptr;
  const Result* addend = nullptr;
  Result* y = nullptr;
  int64_t columns = 0;
  int first_block = INT32_MAX;
  bool is_settled = false;
};

template <typename T, typename Result>
struct FewProducts {
  int rows, inner;
  const T* a;
  FewProduct<T, Result> each[kFewTogether];  // in the order of their blocks

  // Not a copy: what is needed in the end alone need not be in registers until then.
  __device__ __forceinline__ const FewProduct<T, Result>& of_block(int block) const {
    int which = 0;
#pragma unroll
    for (int i = 1; i < kFewTogether; ++i) which += static_cast<int>(block >= each[i].first_block);
    return each[which];
  }
};

// `tiles` of 8 rows.
template <int tiles, int ring, typename T, typename Result>
__global__ void __launch_bounds__(kFewThreads, kFewBlocks)
    few_rows_product_kernel(const __grid_constant__ FewProducts<T, Result> given) {
  let_next_begin();
  const auto& p = given.of_block(static_cast<int>(blockIdx.x));
  if (!p.is_settled) wait_for_previous();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  auto* memory = dynamic_shared<FewMemory<ring>>();
  FewMemory<ring>& own = memory[warp];
  const int64_t first_column = static_cast<int64_t>(static_cast<int>(blockIdx.x) - p.first_block) * kFewColumns;
  // How far on along the inner axis the packets of the step after `step` are.
  const auto stride = [](int step) {
    return step % kFewSteps == kFewSteps - 1 ? kFewWarps * kFewTurn - 32 * (kFewSteps - 1) : 32;
  };
  const int first = warp * kFewTurn + lane % 4 * 8;
  // Where the next packets come from, of each column; one that is not there is the last, and nobody asks for its sum.
  const T* columns[kFewColumns / 8];
#pragma unroll
  for (int n = 0; n < kFewColumns / 8; ++n)
    columns[n] = p.b + std::min(first_column + 8 * n + lane / 4, p.columns - 1) * given.inner + first;
  int left_of_columns = given.inner - first;
  const auto ask = [&](int step) {
    const bool exists = left_of_columns > 0;
#pragma unroll
    for (int n = 0; n < kFewColumns / 8; ++n) {
      copy_async(&own.packets[step % ring][n][lane], exists ? columns[n] : given.a, exists);
      columns[n] += stride(step);
    }
    left_of_columns -= stride(step);
    commit_copies();
  };
#pragma unroll
  for (int step = 0; step < ring - 1; ++step) ask(step);
  if (p.is_settled) wait_for_previous();
  // Of the sums that this thread completes: of row `warp` of each tile, column `lane`.
  const int64_t column = first_column + lane;
  const auto completes = [&](int tile) { return column < p.columns && 8 * tile + warp < given.rows; };
  float first_sums[tiles] = {}, addends[tiles] = {};
#pragma unroll
  for (int tile = 0; tile < tiles; ++tile) {
    if (!completes(tile)) continue;
    if (p.bias != nullptr) first_sums[tile] = to_float(p.bias[column]);
    if (p.addend != nullptr) addends[tile] = to_float(p.addend[(8 * tile + warp) * p.columns + column]);
  }
  FewPacket next[tiles];
  int at = first;
  const auto ask_rows = [&](int step) {
#pragma unroll
    for (int tile = 0; tile < tiles; ++tile) {
      const int row = 8 * tile + lane / 4;
      next[tile] =
          row < given.rows && at < given.inner
              ? load_packet<4>(reinterpret_cast<const uint32_t*>(given.a + static_cast<int64_t>(row) * given.inner + at))
              : FewPacket{};
    }
    at += stride(step);
  };
  ask_rows(0);
  float products[kFewColumns / 8][4] = {};
  const int steps = (given.inner - warp * kFewTurn + kFewWarps * kFewTurn - 1) / (kFewWarps * kFewTurn) * kFewSteps;
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
    put(p.y[row * p.columns + column], p.addend == nullptr ? sum : addends[tile] + sum);
  }
}

// The products of a launch.
template <typename T, typename Result>
class FewRowsWork final : public HeldWork {
 public:
  using One = FewProduct<T, Result>;

  FewRowsWork(int rows, int inner, const T* a) : products_{rows, inner, a, {}} {}

  // Whether `p` can come along: where it reads nothing that others make, and makes nothing that they touch.
  bool takes(int rows, int inner, const T* a, const One& p) const {
    if (count_ == kFewTogether || rows != products_.rows || inner != products_.inner || a != products_.a) return false;
    const auto read = read_by(p);
    return !touches(made_by(p)) && std::all_of(products_.each, products_.each + count_, [&](const One& other) {
      return std::ranges::none_of(read, [&](const MemoryRange& range) { return range.meets(made_by(other)); });
    });
  }

  void add(One p) {
    p.first_block = static_cast<int>(blocks_);
    blocks_ += blocks_for(p.columns, kFewColumns);
    products_.each[count_++] = p;
  }

  bool touches(const MemoryRange& range) const override {
    return std::any_of(products_.each, products_.each + count_, [&](const One& p) {
      return range.meets(made_by(p)) ||
             std::ranges::any_of(read_by(p), [&](const MemoryRange& read) { return range.meets(read); });
    });
  }

  void launch(CudaStream& stream) override {
    const bool large = stream.shared_bytes() >= kFewRingBytes;
    const auto launch_tiles = [&](auto tiles) {
      if (large)
        launch_as<tiles.value, kFewRing>(stream);
      else
        launch_as<tiles.value, kFewRingSmall>(stream);
    };
    if (products_.rows <= 8)
      launch_tiles(std::integral_constant<int, 1>{});
    else
      launch_tiles(std::integral_constant<int, 2>{});
  }

 private:
  static MemoryRange range_of(const auto* first, int64_t count) {
    return {reinterpret_cast<const std::byte*>(first), first == nullptr ? 0 : count * static_cast<int64_t>(sizeof(*first))};
  }
  MemoryRange made_by(const One& p) const { return range_of(p.y, products_.rows * p.columns); }
  std::array<MemoryRange, 4> read_by(const One& p) const {
    return {range_of(products_.a, int64_t{products_.rows} * products_.inner), range_of(p.b, p.columns * products_.inner),
            range_of(p.bias, p.columns), range_of(p.addend, products_.rows * p.columns)};
  }

  template <int tiles, int ring>
  void launch_as(CudaStream& stream) const {
    const Grid grid{
        .blocks = blocks_, .threads = kFewThreads, .shared_bytes = kFewWarps * sizeof(FewMemory<ring>), .early = true};
    cuda::launch(stream, few_rows_product_kernel<tiles, ring, T, Result>, grid, products_);
  }

  FewProducts<T, Result> products_;
  int count_ = 0;
  int64_t blocks_ = 0;
};

}  // namespace

inline bool is_few_rows(const Product& p, const std::byte* b) {
  return size_of(p.dtype) == 2 && p.stack == 1 && p.rows <= kFewRows && !p.a_transposed && p.b_transposed &&
         p.inner % 8 == 0 && p.inner < kFewInner && aligned(b);
}

// A product that is_few_rows(), as product(); `a` begins at 16 bytes.
inline void multiply_few_rows(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b,
                              const std::byte* bias, std::byte* y) {
  by_types(p, y, [&]<typename T, typename Result>(Type<T>, Result* result) {
    if constexpr (sizeof(T) == 2) {
      const auto rows = static_cast<int>(p.rows), inner = static_cast<int>(p.inner);
      const auto* left = reinterpret_cast<const T*>(a);
      const FewProduct<T, Result> one{.b = reinterpret_cast<const T*>(b),
                                      .bias = reinterpret_cast<const T*>(bias),
                                      .addend = reinterpret_cast<const Result*>(p.addend),
                                      .y = result,
                                      .columns = p.columns,
                                      .is_settled = stream.is_settled({b, p.columns * p.inner * size_of(p.dtype)})};
      auto* held = dynamic_cast<FewRowsWork<T, Result>*>(stream.held());
      if (held != nullptr && held->takes(rows, inner, left, one)) return held->add(one);
      auto work = std::make_unique<FewRowsWork<T, Result>>(rows, inner, left);
      work->add(one);
      stream.hold(std::move(work));
    }
  });
}

}  // namespace mglmm::cuda
