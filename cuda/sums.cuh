// Sums over some axes of a tensor, in f32, in an order that depends on the sizes alone: pieces of fixed size first, then the
// pieces. Value: float operator()(int64_t i) const, of an element of the larger tensor. Out: void operator()(int64_t j,
// float sum) const, for an element of the smaller one.
#pragma once
#include <algorithm>

#include "cuda/number.cuh"
#include "cuda/reduce.cuh"
#include "kernels/axes.h"

namespace mglmm::cuda {
namespace {

constexpr int kSumThreads = 256;
constexpr int64_t kSumPiece = 8192;  // elements of a row that one block adds up
constexpr int kSumColumns = 32;      // columns that one block adds rows of, a lane each
constexpr int64_t kSumPieces = 64;   // pieces that the rows of a column are split into, at most

// A block a piece of a row.
template <typename Value>
__global__ void __launch_bounds__(kSumThreads)
    row_pieces_kernel(const __grid_constant__ Axes axes, int64_t row_pieces, Value value, float* partial) {
  const int64_t run = axes.size[axes.last()];
  const int64_t pieces = axes.count_of(true, true) * row_pieces;
  const int64_t piece = blockIdx.x % pieces;
  const int64_t first = piece % row_pieces * kSumPiece;
  const int64_t offset = axes.offset_of(false, blockIdx.x / pieces) + axes.offset_of(true, piece / row_pieces) + first;
  const int64_t count = run - first < kSumPiece ? run - first : kSumPiece;
  float sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kSumThreads) sum += value(offset + i);
  sum = block_sum(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// A block a place.
template <typename Out>
__global__ void __launch_bounds__(kSumThreads) add_row_pieces_kernel(int64_t pieces, const float* partial, Out out) {
  float sum = 0;
  for (int64_t i = threadIdx.x; i < pieces; i += kSumThreads) sum += partial[blockIdx.x * pieces + i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) out(blockIdx.x, sum);
}

struct ColumnSums {
  float values[kSumThreads / kSumColumns][kSumColumns];
};

// A block some columns of a piece of the rows; each warp adds up every eighth row.
template <typename Value, typename Out>
__global__ void __launch_bounds__(kSumThreads)
    column_pieces_kernel(const __grid_constant__ Axes axes, int64_t pieces, int64_t piece_rows, Value value, Out out) {
  auto& sums = shared<ColumnSums>();
  constexpr int kWarps = kSumThreads / kSumColumns;
  const int64_t columns = axes.size[axes.last()];
  const int64_t places = axes.count_of(false, true);
  const int64_t rows = axes.count_of(true);
  const int64_t blocks = (columns + kSumColumns - 1) / kSumColumns;
  const int lane = static_cast<int>(threadIdx.x) % kSumColumns;
  const int warp = static_cast<int>(threadIdx.x) / kSumColumns;
  const int64_t column = blockIdx.x % blocks * kSumColumns + lane;
  const int64_t piece = blockIdx.x / blocks % pieces;
  const int64_t place = blockIdx.x / blocks / pieces;
  const int64_t end = (piece + 1) * piece_rows < rows ? (piece + 1) * piece_rows : rows;
  float sum = 0;
  if (column < columns) {
    const int64_t base = axes.offset_of(false, place) + column;
    const bool is_matrix = axes.rank == 2;  // whose rows need no division
    for (int64_t row = piece * piece_rows + warp; row < end; row += kWarps)
      sum += value(base + (is_matrix ? row * columns : axes.offset_of(true, row)));
  }
  sums.values[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || column >= columns) return;
  for (int other = 1; other < kWarps; ++other) sum += sums.values[other][lane];
  out((piece * places + place) * columns + column, sum);
}

struct ToPartial {
  float* partial;
  __device__ void operator()(int64_t i, float sum) const { partial[i] = sum; }
};

// A thread a column.
template <typename Out>
__global__ void __launch_bounds__(kSumThreads)
    add_column_pieces_kernel(int64_t count, int64_t pieces, const float* partial, Out out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kSumThreads + threadIdx.x;
  if (i >= count) return;
  float sum = partial[i];
  for (int64_t piece = 1; piece < pieces; ++piece) sum += partial[piece * count + i];
  out(i, sum);
}

}  // namespace

// out(j, sum) for every element j of the smaller tensor, of value(i) of the elements of the larger one that lie over it.
template <typename Value, typename Out>
void sum_over(CudaStream& stream, const Axes& axes, Value value, Out out) {
  if (axes.wide[axes.last()]) {
    const int64_t row_pieces = blocks_for(axes.size[axes.last()], kSumPiece);
    const int64_t places = axes.count_of(false);
    const int64_t pieces = axes.count_of(true, true) * row_pieces;
    float* partial = stream.scratch_of<float>(places * pieces);
    launch(stream, row_pieces_kernel<Value>, {.blocks = places * pieces}, axes, row_pieces, value, partial);
    launch(stream, add_row_pieces_kernel<Out>, {.blocks = places}, pieces, partial, out);
    return;
  }
  const int64_t columns = axes.size[axes.last()];
  const int64_t places = axes.count_of(false, true);
  const int64_t rows = axes.count_of(true);
  const int64_t piece_rows = std::max<int64_t>(64, blocks_for(rows, kSumPieces));
  const int64_t pieces = std::max<int64_t>(1, blocks_for(rows, piece_rows));
  const Grid grid{.blocks = places * pieces * blocks_for(columns, kSumColumns)};
  if (pieces == 1) {
    launch(stream, column_pieces_kernel<Value, Out>, grid, axes, pieces, piece_rows, value, out);
    return;
  }
  float* partial = stream.scratch_of<float>(pieces * places * columns);
  launch(stream, column_pieces_kernel<Value, ToPartial>, grid, axes, pieces, piece_rows, value, ToPartial{partial});
  launch(stream, add_column_pieces_kernel<Out>, {.blocks = blocks_for(places * columns, kSumThreads)}, places * columns,
         pieces, partial, out);
}

// Of a matrix [rows, columns], over its rows.
inline Axes over_rows(int64_t rows, int64_t columns) {
  Axes axes;
  axes.push(rows, true);
  axes.push(columns, false);
  axes.finish();
  return axes;
}

// The element itself.
template <typename T>
struct ValueAt {
  const T* x;
  __device__ float operator()(int64_t i) const { return to_float(x[i]); }
};
// Stores a sum.
template <typename T>
struct StoreSum {
  T* y;
  float factor = 1;
  __device__ void operator()(int64_t j, float sum) const { put(y[j], sum * factor); }
};

}  // namespace mglmm::cuda
