#include "kernels/permute.h"

#include <array>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/transpose.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// The axes of y from the outermost on, with their strides in x; neighbours that stay neighbours are one.
struct Walk {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{}, stride{};

  explicit Walk(const Permute& op) {
    for (const int64_t named : op.axes) {
      const int axis = static_cast<int>(named < 0 ? named + op.x.shape.rank : named);
      const int64_t axis_size = op.x.shape[axis];
      const int64_t axis_stride = op.x.shape.count(axis + 1, op.x.shape.rank);
      if (axis_size == 1) continue;
      if (rank > 0 && stride[rank - 1] == axis_stride * axis_size) {
        size[rank - 1] *= axis_size;
        stride[rank - 1] = axis_stride;
        continue;
      }
      size[rank] = axis_size;
      stride[rank++] = axis_stride;
    }
    if (rank == 0) {
      size[0] = stride[0] = 1;
      rank = 1;
    }
  }
  // Places along all axes but the last, and but `skipped`.
  int64_t places(int skipped) const {
    int64_t product = 1;
    for (int axis = 0; axis < rank - 1; ++axis) product *= axis == skipped ? 1 : size[axis];
    return product;
  }
  // Offsets of such a place in x and in y.
  std::array<int64_t, 2> offsets(int64_t place, int skipped) const {
    std::array<int64_t, 2> result{};
    int64_t y_stride = size[rank - 1];
    for (int axis = rank - 2; axis >= 0; --axis) {
      if (axis != skipped) {
        result[0] += place % size[axis] * stride[axis];
        result[1] += place % size[axis] * y_stride;
        place /= size[axis];
      }
      y_stride *= size[axis];
    }
    return result;
  }
};

constexpr int64_t kTile = 32;

// What transpose_tile does, for a whole tile by squares of words.
void transpose_whole_tile(const uint32_t* x, int64_t x_stride, uint32_t* y, int64_t y_stride) {
  for (int64_t row = 0; row < kTile; row += kSquareWords) {
    for (int64_t column = 0; column < kTile; column += kSquareWords) {
      transpose_square(x + row * x_stride + column, x_stride, y + column * y_stride + row, y_stride);
    }
  }
}

// Words that pair two rows at an even column, and such at an odd one, make two squares.
void transpose_whole_tile(const uint16_t* x, int64_t x_stride, uint16_t* y, int64_t y_stride) {
  constexpr int64_t kPairs = kTile / 2;
  alignas(64) uint32_t even[kPairs][kPairs], odd[kPairs][kPairs];
  alignas(64) uint32_t columns[kTile][kPairs];
  for (int64_t pair = 0; pair < kPairs; ++pair) {
    uint32_t upper[kPairs], lower[kPairs];
    std::memcpy(upper, x + 2 * pair * x_stride, sizeof upper);
    std::memcpy(lower, x + (2 * pair + 1) * x_stride, sizeof lower);
    for (int64_t i = 0; i < kPairs; ++i) {
      even[pair][i] = (upper[i] & 0xffff) | (lower[i] << 16);
      odd[pair][i] = (upper[i] >> 16) | (lower[i] & 0xffff0000);
    }
  }
  transpose_square(even, kPairs, columns[0], 2 * kPairs);
  transpose_square(odd, kPairs, columns[1], 2 * kPairs);
  for (int64_t column = 0; column < kTile; ++column)
    std::memcpy(y + column * y_stride, columns[column], sizeof columns[column]);
}

// y[column][row] = x[row][column] for a tile; strides are those of x's rows and y's columns.
template <typename T>
void transpose_tile(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t rows, int64_t columns) {
  if constexpr (sizeof(T) > 1) {
    if (rows == kTile && columns == kTile) return transpose_whole_tile(x, x_stride, y, y_stride);
  }
  T tile[kTile][kTile];
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) tile[column][row] = x[row * x_stride + column];
  }
  for (int64_t column = 0; column < columns; ++column) {
    std::memcpy(y + column * y_stride, tile[column], static_cast<size_t>(rows) * sizeof(T));
  }
}

}  // namespace

void run(const Permute& op, Stream&) {
  if (op.y.count() == 0) return;
  const Walk walk(op);
  const int last = walk.rank - 1;
  by_width(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    if (walk.stride[last] == 1) {  // rows stay whole
      const int64_t run = walk.size[last];
      const int64_t piece = walk.rank == 1 ? kElementGrain : run;  // a plain copy has one row
      const int64_t pieces = (run + piece - 1) / piece;
      parallel_ranges(
          walk.places(-1) * pieces, std::max<int64_t>(1, kElementGrain / piece), [=](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
              const auto [from, to] = walk.offsets(task / pieces, -1);
              const int64_t first = task % pieces * piece;
              std::memcpy(y + to + first, x + from + first, static_cast<size_t>(std::min(piece, run - first)) * sizeof(T));
            }
          });
      return;
    }
    // The axis that is dense in x and the one that is dense in y make a matrix to transpose, at every place of the others.
    int dense = 0;
    while (walk.stride[dense] != 1) ++dense;
    const int64_t columns = walk.size[dense];
    const int64_t rows = walk.size[last];
    int64_t y_stride = 1;
    for (int axis = dense + 1; axis <= last; ++axis) y_stride *= walk.size[axis];
    const int64_t row_tiles = (rows + kTile - 1) / kTile;
    const int64_t column_tiles = (columns + kTile - 1) / kTile;
    const int64_t x_stride = walk.stride[last];
    parallel_ranges(walk.places(dense) * row_tiles * column_tiles, kElementGrain / (kTile * kTile),
                    [=](int64_t begin, int64_t end) {
                      for (int64_t task = begin; task < end; ++task) {
                        const auto [from, to] = walk.offsets(task / (row_tiles * column_tiles), dense);
                        const int64_t row = task / column_tiles % row_tiles * kTile;
                        const int64_t column = task % column_tiles * kTile;
                        transpose_tile(x + from + row * x_stride + column, x_stride, y + to + column * y_stride + row,
                                       y_stride, std::min(kTile, rows - row), std::min(kTile, columns - column));
                      }
                    });
  });
}

}  // namespace mglmm::cpu
