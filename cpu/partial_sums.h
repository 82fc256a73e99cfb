// Sums over rows that a kernel meets on its way: each piece of rows adds into a slice of its own, and the slices are added
// in order at the end. Pieces depend on the number of rows alone, so the sums do not depend on the threads.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

struct PartialSums {
  int64_t rows, piece_rows, pieces, size;
  float* slices;  // [pieces, size], zeros

  PartialSums(Stream& stream, int64_t row_count, int64_t size_of_a_sum)
      : rows(row_count), piece_rows(std::max<int64_t>(8, (row_count + 31) / 32)), size(size_of_a_sum) {
    pieces = (rows + piece_rows - 1) / piece_rows;
    slices = stream.scratch_of<float>(std::max<int64_t>(1, pieces * size));
  }

  // Calls `body(first_row, last_row, slice)` for every piece.
  template <typename Body>
  void by_pieces(int64_t row_elements, Body&& body) const {
    const int64_t elements = std::max<int64_t>(1, piece_rows * row_elements);
    parallel_ranges(pieces, std::max<int64_t>(1, kElementGrain / elements), [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        float* slice = slices + piece * size;
        std::memset(slice, 0, static_cast<size_t>(size) * sizeof(float));
        body(piece * piece_rows, std::min(rows, (piece + 1) * piece_rows), slice);
      }
    });
  }

  // Adds the parts [first, first + count) of all slices into `out`.
  template <typename T>
  void finish(int64_t first, int64_t count, T* out) const {
    parallel_ranges(count, std::max<int64_t>(kLanes, kElementGrain / std::max<int64_t>(pieces, 1)),
                    [=, this](int64_t begin, int64_t end) {
                      by_lanes(begin, end, [=, this](int64_t i, auto... lanes) {
                        vfloat total = splat(0);
                        for (int64_t piece = 0; piece < pieces; ++piece)
                          total += load(slices + piece * size + first + i, lanes...);
                        store(out + i, total, lanes...);
                      });
                    });
  }
};

}  // namespace mglmm::cpu
