// Sums over some axes of a tensor, in f32, in an order that depends on the sizes alone: pieces of fixed size first, then
// the pieces one after another.
#pragma once
#include <algorithm>
#include <cstdint>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/axes.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

inline constexpr int64_t kSumPiece = 8192;    // elements of a row that one piece adds up
inline constexpr int64_t kSumColumns = 1024;  // columns that one piece adds rows of
inline constexpr int64_t kSumPieces = 32;     // pieces the rows of a column are split into, at most

// Pieces for places: how many tasks make it worth waking a thread.
inline int64_t grain_of(int64_t elements) { return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(elements, 1)); }

// out(j, sum, lanes...) gets the sum of value(i, lanes...) over the wide axes; the last axis is not wide.
template <typename Value, typename Out>
void sum_columns(const Axes& axes, Stream& stream, Value value, Out out) {
  const int64_t columns = axes.size[axes.last()];
  const int64_t places = axes.count_of(false, true);
  const int64_t rows = axes.count_of(true);
  const int64_t piece_rows = std::max<int64_t>(32, (rows + kSumPieces - 1) / kSumPieces);
  const int64_t pieces = std::max<int64_t>(1, (rows + piece_rows - 1) / piece_rows);
  const int64_t blocks = (columns + kSumColumns - 1) / kSumColumns;
  float* partial = pieces > 1 ? stream.scratch_of<float>(pieces * places * columns) : nullptr;
  parallel_ranges(places * pieces * blocks, grain_of(piece_rows * kSumColumns), [=](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % blocks;
      const int64_t piece = task / blocks % pieces;
      const int64_t place = task / blocks / pieces;
      const int64_t first = block * kSumColumns;
      const int64_t width = std::min(kSumColumns, columns - first);
      const int64_t base = axes.offset_of(false, place) + first;
      float sums[kSumColumns] = {};
      for (int64_t row = piece * piece_rows; row < std::min(rows, (piece + 1) * piece_rows); ++row) {
        const int64_t offset = base + axes.offset_of(true, row);
        by_lanes(0, width, [&](int64_t i, auto... lanes) {
          store(sums + i, load(sums + i, lanes...) + value(offset + i, lanes...), lanes...);
        });
      }
      by_lanes(0, width, [&](int64_t i, auto... lanes) {
        const vfloat sum = load(sums + i, lanes...);
        if (partial)
          store(partial + (piece * places + place) * columns + first + i, sum, lanes...);
        else
          out(place * columns + first + i, sum, lanes...);
      });
    }
  });
  if (!partial) return;
  parallel_ranges(places * columns, grain_of(pieces), [=](int64_t begin, int64_t end) {
    by_lanes(begin, end, [=](int64_t i, auto... lanes) {
      vfloat sum = load(partial + i, lanes...);
      for (int64_t piece = 1; piece < pieces; ++piece) sum += load(partial + piece * places * columns + i, lanes...);
      out(i, sum, lanes...);
    });
  });
}

// The same where the last axis is wide.
template <typename Value, typename Out>
void sum_rows(const Axes& axes, Stream& stream, Value value, Out out) {
  const int64_t run = axes.size[axes.last()];
  const int64_t places = axes.count_of(false);
  const int64_t rows = axes.count_of(true, true);
  const int64_t row_pieces = (run + kSumPiece - 1) / kSumPiece;
  const int64_t pieces = rows * row_pieces;
  float* partial = stream.scratch_of<float>(places * std::max<int64_t>(pieces, 1));
  parallel_ranges(places * pieces, grain_of(std::min(run, kSumPiece)), [=](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t piece = task % pieces;
      const int64_t first = piece % row_pieces * kSumPiece;
      const int64_t offset = axes.offset_of(false, task / pieces) + axes.offset_of(true, piece / row_pieces) + first;
      const int64_t count = std::min(kSumPiece, run - first);
      partial[task] = sum_by_lanes(offset, offset + count, value);
    }
  });
  parallel_ranges(places, grain_of(pieces), [=](int64_t begin, int64_t end) {
    for (int64_t place = begin; place < end; ++place) {
      float total = 0;
      for (int64_t piece = 0; piece < pieces; ++piece) total += partial[place * pieces + piece];
      out(place, splat(total), int64_t{1});
    }
  });
}

// out(j, sum, lanes...) gets, for every element j of the smaller tensor, the sum of value(i, lanes...) over the elements
// of the larger one that lie over it.
template <typename Value, typename Out>
void sum_over(const Axes& axes, Stream& stream, Value value, Out out) {
  if (axes.wide[axes.last()])
    sum_rows(axes, stream, value, out);
  else
    sum_columns(axes, stream, value, out);
}

}  // namespace mglmm::cpu
