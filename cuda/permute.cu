// Axes that stay neighbours are one. Rows that stay whole are copied in packets; else the axis that is dense in x and the
// one that is dense in y make a matrix, which is transposed in tiles of 32 x 32 through shared memory.
#include "kernels/permute.h"

#include <array>

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32;

// The axes of y from the outermost on, with their strides in x.
struct Walk {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{}, stride{};

  void push(int64_t axis_size, int64_t axis_stride) {
    if (axis_size == 1) return;
    if (rank > 0 && stride[rank - 1] == axis_stride * axis_size) {
      size[rank - 1] *= axis_size;
      stride[rank - 1] = axis_stride;
      return;
    }
    size[rank] = axis_size;
    stride[rank++] = axis_stride;
  }
  // Of a place along all axes but the last and `skipped`, where it is in x and in y. Index counts the places.
  template <typename Index>
  __device__ void locate(Index place, int skipped, int64_t& in_x, int64_t& in_y) const {
    in_x = in_y = 0;
    int64_t y_stride = size[rank - 1];
    for (int axis = rank - 2; axis >= 0; --axis) {
      if (axis != skipped) {
        const auto along = static_cast<Index>(size[axis]);
        const auto at = static_cast<int64_t>(place % along);
        in_x += at * stride[axis];
        in_y += at * y_stride;
        place /= along;
      }
      y_stride *= size[axis];
    }
  }
};

template <typename Index, typename Word>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(const __grid_constant__ Walk walk, int64_t count, const Word* x, Word* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const auto run = static_cast<Index>(walk.size[walk.rank - 1]);
  int64_t from = 0, to = 0;
  walk.locate(static_cast<Index>(i) / run, -1, from, to);
  y[i] = x[from + static_cast<int64_t>(static_cast<Index>(i) % run)];
}

template <typename T>
struct Tile {
  T values[kTile][kTile + 1];  // one more, so that a column lies in 32 banks
};

template <typename T>
__global__ void __launch_bounds__(kThreads)
    transpose_kernel(const __grid_constant__ Walk walk, int dense, int64_t y_stride, const T* x, T* y) {
  auto& tile = shared<Tile<T>>();
  const int last = walk.rank - 1;
  const int64_t rows = walk.size[last];      // dense in y
  const int64_t columns = walk.size[dense];  // dense in x
  const int64_t row_tiles = (rows + kTile - 1) / kTile;
  const int64_t column_tiles = (columns + kTile - 1) / kTile;
  int64_t from = 0, to = 0;
  walk.locate(blockIdx.x / static_cast<uint32_t>(row_tiles * column_tiles), dense, from, to);
  const auto in_row = static_cast<uint32_t>(column_tiles);
  const int64_t row = static_cast<int64_t>(blockIdx.x / in_row % static_cast<uint32_t>(row_tiles)) * kTile;
  const int64_t column = static_cast<int64_t>(blockIdx.x % in_row) * kTile;
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int warp = static_cast<int>(threadIdx.x) / kTile;
  for (int i = warp; i < kTile; i += kThreads / kTile) {
    if (row + i < rows && column + lane < columns) {
      tile.values[i][lane] = x[from + (row + i) * walk.stride[last] + column + lane];
    }
  }
  __syncthreads();
  for (int i = warp; i < kTile; i += kThreads / kTile) {
    if (column + i < columns && row + lane < rows) y[to + (column + i) * y_stride + row + lane] = tile.values[lane][i];
  }
}

}  // namespace

void run(const Permute& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int64_t element = size_of(op.x.dtype);
  Walk walk;
  for (const int64_t named : op.axes) {
    const int axis = static_cast<int>(named < 0 ? named + op.x.shape.rank : named);
    walk.push(op.x.shape[axis], op.x.shape.count(axis + 1, op.x.shape.rank));
  }
  if (walk.rank == 0) walk.rank = 1, walk.size[0] = walk.stride[0] = 1;
  const int last = walk.rank - 1;
  if (walk.stride[last] == 1) {
    const auto with = [&]<typename Word>(Type<Word>, int64_t elements) {
      Walk words = walk;
      words.size[last] /= elements;
      for (int axis = 0; axis < last; ++axis) words.stride[axis] /= elements;
      const int64_t count = op.y.count() / elements;
      const auto kernel = count <= INT32_MAX ? rows_kernel<uint32_t, Word> : rows_kernel<int64_t, Word>;
      launch(stream, kernel, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, words, count, op.x.data<Word>(),
             op.y.data<Word>());
    };
    const int64_t packet = 16 / element;
    bool whole = walk.size[last] % packet == 0 && aligned(op.x.raw(), op.y.raw());
    for (int axis = 0; axis < last; ++axis) whole = whole && walk.stride[axis] % packet == 0;
    if (whole) return with(Type<Packet<uint32_t, 4>>{}, packet);
    return by_width(op.x.dtype, [&]<typename T>(Type<T> type) { with(type, 1); });
  }
  int dense = 0;
  while (walk.stride[dense] != 1) ++dense;
  int64_t y_stride = 1, places = 1;
  for (int axis = 0; axis < last; ++axis) {
    if (axis > dense) y_stride *= walk.size[axis];
    if (axis != dense) places *= walk.size[axis];
  }
  y_stride *= walk.size[last];
  const int64_t tiles = blocks_for(walk.size[last], kTile) * blocks_for(walk.size[dense], kTile);
  by_width(op.x.dtype, [&]<typename T>(Type<T>) {
    launch(stream, transpose_kernel<T>, {.blocks = places * tiles, .threads = kThreads}, walk, dense, y_stride,
           op.x.data<T>(), op.y.data<T>());
  });
}

}  // namespace mglmm::cuda
