// A tensor and a smaller one that is repeated, or summed over, along some of its axes.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "kernels/shape.h"

namespace mglmm {

// The axes of the larger tensor, neighbours of one kind merged, those of size 1 left out: `wide` ones are where the
// smaller tensor is repeated (or summed over). At least one axis, and the last two differ in kind.
struct Axes {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> size{};
  std::array<bool, Shape::kMaxRank> wide{};

  constexpr void push(int64_t axis_size, bool is_wide) {
    if (axis_size == 1) return;
    if (rank > 0 && wide[rank - 1] == is_wide) {
      size[rank - 1] *= axis_size;
      return;
    }
    size[rank] = axis_size;
    wide[rank++] = is_wide;
  }
  constexpr void finish() {
    if (rank > 0) return;
    size[0] = 1;
    rank = 1;
  }
  constexpr int last() const { return rank - 1; }
  constexpr int64_t count() const { return count_of(true) * count_of(false); }
  // Elements along the axes of one kind, the last axis of all left out if told so.
  constexpr int64_t count_of(bool is_wide, bool without_last = false) const {
    int64_t product = 1;
    for (int axis = 0; axis < rank - (without_last ? 1 : 0); ++axis) product *= wide[axis] == is_wide ? size[axis] : 1;
    return product;
  }
  // Where in the larger tensor the `index`-th place along the axes of one kind is, the last axis of all left out.
  constexpr int64_t offset_of(bool is_wide, int64_t index) const {
    int64_t stride = size[rank - 1];
    int64_t offset = 0;
    for (int axis = rank - 2; axis >= 0; --axis) {
      if (wide[axis] == is_wide) {
        offset += index % size[axis] * stride;
        index /= size[axis];
      }
      stride *= size[axis];
    }
    return offset;
  }
  // Where in the smaller tensor the row `index` of the larger one starts; rows run along the last axis.
  template <typename Index>
  constexpr int64_t smaller_offset(Index index) const {
    int64_t stride = wide[rank - 1] ? 1 : size[rank - 1];
    int64_t offset = 0;
    for (int axis = rank - 2; axis > 0; --axis) {
      const auto along = static_cast<Index>(size[axis]);
      if (!wide[axis]) {
        offset += static_cast<int64_t>(index % along) * stride;
        stride *= size[axis];
      }
      index /= along;
    }
    // Along the first axis nothing is left to divide.
    return rank > 1 && !wide[0] ? offset + static_cast<int64_t>(index) * stride : offset;
  }
};

// `smaller` broadcasts to `larger`.
inline Axes broadcast_axes(const Shape& larger, const Shape& smaller) {
  Axes axes;
  const int missing = larger.rank - smaller.rank;
  for (int axis = 0; axis < larger.rank; ++axis) {
    axes.push(larger[axis], axis < missing || smaller[axis - missing] != larger[axis]);
  }
  axes.finish();
  return axes;
}

// Those of a tensor of which `summed` are summed over, counted from the last where negative; none means all.
inline Axes summed_axes(const Shape& shape, const std::vector<int64_t>& summed) {
  std::array<bool, Shape::kMaxRank> wide{};
  for (const int64_t axis : summed) wide[static_cast<size_t>(axis < 0 ? axis + shape.rank : axis)] = true;
  Axes axes;
  for (int axis = 0; axis < shape.rank; ++axis) axes.push(shape[axis], summed.empty() || wide[static_cast<size_t>(axis)]);
  axes.finish();
  return axes;
}

// Calls `body(i, j, count)` for stretches of [begin, end) in the larger tensor: elements i ... i + count against j ... of
// the smaller one, or all against the one at j when the last axis is wide.
template <typename Body>
void by_rows(const Axes& axes, int64_t begin, int64_t end, Body&& body) {
  const int64_t run = axes.size[axes.last()];
  for (int64_t i = begin; i < end;) {
    const int64_t row = i / run;
    const int64_t within = i - row * run;
    const int64_t count = std::min(run - within, end - i);
    body(i, axes.smaller_offset(row) + (axes.wide[axes.last()] ? 0 : within), count);
    i += count;
  }
}

}  // namespace mglmm
