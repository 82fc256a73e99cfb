// The gradients of a norm's weight and bias, sums over rows of dy n and of dy, n = (x - mean) * rstd, in one pass over dy
// and x: pieces of rows of fixed size first, then the pieces.
#pragma once
#include <algorithm>

#include "cuda/row.cuh"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kNormWarps = kSumThreads / 32;

template <int packet>
struct NormSums {
  float values[kNormWarps][packet][32];
};

// partial[piece, column] of the columns of this block, from what each warp has of them.
template <int packet>
__device__ __forceinline__ void store_partial(const float (&own)[packet], int64_t dim, float* partial) {
  auto& sums = shared<NormSums<packet>>();
  __syncthreads();  // earlier ones may still be read
  for (int k = 0; k < packet; ++k) sums.values[threadIdx.x / 32][k][threadIdx.x % 32] = own[k];
  __syncthreads();
  for (unsigned i = threadIdx.x; i < 32 * packet; i += kSumThreads) {
    const int64_t column = static_cast<int64_t>(blockIdx.y) * 32 * packet + i;
    if (column >= dim) return;
    float sum = 0;
    for (int warp = 0; warp < kNormWarps; ++warp) sum += sums.values[warp][i % packet][i / packet];
    partial[blockIdx.x * dim + column] = sum;
  }
}

// A block some columns of a piece of the rows; each warp adds up every eighth row. `means` is null for means of 0.
template <int packet, typename T>
__global__ void __launch_bounds__(kSumThreads)
    norm_pieces_kernel(int64_t rows, int64_t dim, int64_t piece_rows, const T* dy, const T* x, const float* means,
                       const float* rstds, float* dweights, float* dbiases) {
  const int64_t column = (static_cast<int64_t>(blockIdx.y) * 32 + threadIdx.x % 32) * packet;
  const int64_t first = blockIdx.x * piece_rows;
  const int64_t end = first + piece_rows < rows ? first + piece_rows : rows;
  float along[packet] = {};
  float level[packet] = {};
  if (column < dim) {
    for (int64_t row = first + threadIdx.x / 32; row < end; row += kNormWarps) {
      const auto d = load_packet<packet>(dy + row * dim + column);
      const auto v = load_packet<packet>(x + row * dim + column);
      const float mean = means == nullptr ? 0.0F : means[row];
      const float rstd = rstds[row];
      for (int k = 0; k < packet; ++k) {
        along[k] += to_float(d.values[k]) * (to_float(v.values[k]) - mean) * rstd;
        level[k] += to_float(d.values[k]);
      }
    }
  }
  if (dweights != nullptr) store_partial(along, dim, dweights);
  if (dbiases != nullptr) store_partial(level, dim, dbiases);
}

}  // namespace

// dweight and dbias [dim], either may be null, from dy and x [rows, dim].
template <typename T>
void norm_weight_gradients(CudaStream& stream, int64_t rows, int64_t dim, const T* dy, const T* x, const float* means,
                           const float* rstds, T* dweight, T* dbias) {
  if (dweight == nullptr && dbias == nullptr) return;
  const int64_t piece_rows = std::max<int64_t>(64, blocks_for(rows, kSumPieces));
  const int64_t pieces = std::max<int64_t>(1, blocks_for(rows, piece_rows));
  float* dweights = dweight == nullptr ? nullptr : stream.scratch_of<float>(pieces * dim);
  float* dbiases = dbias == nullptr ? nullptr : stream.scratch_of<float>(pieces * dim);
  by_packet<T>(
      dim,
      [&](auto packet) {
        launch(stream, norm_pieces_kernel<packet.value, T>,
               {.blocks = pieces, .threads = kSumThreads, .y = blocks_for(dim, 32 * packet.value)}, rows, dim, piece_rows,
               dy, x, means, rstds, dweights, dbiases);
      },
      dy, x);
  const auto add_up = [&](const float* partial, T* sums) {
    if (sums == nullptr) return;
    launch(stream, add_column_pieces_kernel<StoreSum<T>>, {.blocks = blocks_for(dim, kSumThreads), .threads = kSumThreads},
           dim, pieces, partial, StoreSum<T>{sums});
  };
  add_up(dweights, dweight);
  add_up(dbiases, dbias);
}

}  // namespace mglmm::cuda
