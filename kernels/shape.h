// The sizes of a tensor, outermost first. Tensors are dense and row-major; a shape says everything about their order.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace mglmm {

struct Shape {
  static constexpr int kMaxRank = 6;
  // Elements in all; keeps every byte count and every index of a kernel within int64.
  static constexpr int64_t kMaxCount = int64_t{1} << 48;

  int rank = 0;
  std::array<int64_t, kMaxRank> dims{};

  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes);  // throws ShapeError as `push` does

  int64_t operator[](int axis) const { return dims[axis < 0 ? rank + axis : axis]; }
  int64_t& operator[](int axis) { return dims[axis < 0 ? rank + axis : axis]; }
  bool operator==(const Shape& other) const = default;

  void push(int64_t size);  // throws ShapeError on a negative size, a rank over 6, a count over 2^48
  int64_t count() const { return count(0, rank); }
  int64_t count(int first, int last) const {
    int64_t product = 1;
    for (int axis = first; axis < last; ++axis) product *= dims[axis];
    return product;
  }
  // The same sizes with the last one replaced or dropped.
  Shape with_last(int64_t size) const;
  Shape without_last() const;
};

std::string to_string(const Shape& shape);  // [2, 5]

}  // namespace mglmm
