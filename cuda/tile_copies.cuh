// How tiles of queries, keys and values come to shared memory, for cuda/attention_tiles.cuh and its gradient.
#pragma once
#include <utility>
#include <variant>

#include "cuda/attention.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {

inline constexpr int kTileQueries = 64;
inline constexpr int kTileKeys = 64;

// Rows of shared memory that are a packet longer than they are, so that the eight rows of a matrix lie in all banks.
template <int dim>
inline constexpr int kTileStride = dim + 8;

namespace {

// Rows first ... first + 64 of a head, by the whole block; `first` is a multiple of 64. A row that `exists(0 ... 63)` does
// not know is 0.
template <int dim, typename T, typename Layout, typename Exists>
__device__ void copy_tile(T* to, const T* x, const Layout& layout, int64_t batch, int64_t head, int64_t first,
                          const Exists& exists) {
  constexpr unsigned kPackets = dim / 8;
  static_assert(kTileKeys * kPackets % kAttentionThreads == 0);
  const auto address = tile_rows(x, layout, batch, head, first);
#pragma unroll
  for (unsigned step = 0; step < kTileKeys * kPackets / kAttentionThreads; ++step) {
    const unsigned packet = step * kAttentionThreads + threadIdx.x;
    const auto row = static_cast<int>(packet / kPackets);
    const auto column = static_cast<int>(packet % kPackets * 8);
    const bool there = exists(row);
    copy_async(to + row * kTileStride<dim> + column, there ? address(row) + column : x, there);
  }
}

// Of a layout that has none: nothing.
template <typename Layout>
__device__ __forceinline__ auto window_of(const Layout& layout, int64_t batch) {
  if constexpr (Layout::kWindows)
    return layout.window(batch);
  else
    return std::monostate{};
}

// The packets of a tile of keys, and of the tile of values, that a thread copies.
template <int dim, typename Layout>
class KeyPackets {
 public:
  __device__ __forceinline__ KeyPackets(const Layout& layout, int64_t batch) : window_(window_of(layout, batch)) {
    if constexpr (!Layout::kWindows) {
#pragma unroll
      for (int step = 0; step < kCount; ++step)
        offsets_[step] = row(step) * static_cast<int>(layout.token_stride) + column(step);
    }
  }

  // As copy_tile does. Of a row that is not there the address may be anything: nothing is read.
  template <typename T, typename Exists>
  __device__ __forceinline__ void copy(T* keys, T* values, const T* k, const T* v, const Layout& layout, int64_t batch,
                                       int64_t head, int64_t first, const Exists& exists) const {
    const auto offset = offsets(layout, batch, head, first);
#pragma unroll
    for (int step = 0; step < kCount; ++step) {
      const int to = row(step) * kTileStride<dim> + column(step);
      const int64_t from = offset(step);
      const bool there = exists(row(step));
      copy_async(keys + to, k + from, there);
      copy_async(values + to, v + from, there);
    }
  }

 private:
  static constexpr unsigned kPackets = dim / 8;
  static constexpr int kCount = kTileKeys * kPackets / kAttentionThreads;
  static_assert(kTileKeys * kPackets % kAttentionThreads == 0);
  __device__ __forceinline__ static int row(unsigned step) {
    return static_cast<int>((step * kAttentionThreads + threadIdx.x) / kPackets);
  }
  __device__ __forceinline__ static int column(unsigned step) {
    return static_cast<int>((step * kAttentionThreads + threadIdx.x) % kPackets * 8);
  }
  __device__ __forceinline__ auto offsets(const Layout& layout, int64_t batch, int64_t head, int64_t first) const {
    if constexpr (Layout::kWindows) {
      return [=, this, &layout](int step) { return layout.offset(window_, head, first + row(step)) + column(step); };
    } else {
      return [this, tile = layout.offset(batch, head, first)](int step) { return tile + offsets_[step]; };
    }
  }

  decltype(window_of(std::declval<const Layout&>(), int64_t{})) window_;
  int offsets_[kCount];  // in a tile whose rows follow each other
};

}  // namespace

}  // namespace mglmm::cuda
