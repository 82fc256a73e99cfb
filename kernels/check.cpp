#include "kernels/check.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace mglmm {

std::string Check::number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return std::to_string(static_cast<int64_t>(value));
  return std::to_string(value);
}

void Check::fail(const char* code, const std::string& message) const {
  throw Error(code, std::string(op_) + ": " + message);
}

void Check::floating(const char* name, const TensorRef& tensor) const {
  if (is_floating(tensor.dtype)) return;
  fail(kDtypeError, std::string(name) + " is " + to_string(tensor.dtype) + ", expected f32, bf16 or f16");
}

void Check::dtype(const char* name, const TensorRef& tensor, Dtype expected) const {
  if (tensor.dtype == expected) return;
  fail(kDtypeError, std::string(name) + " is " + to_string(tensor.dtype) + ", expected " + to_string(expected));
}

void Check::same_dtype(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const {
  if (tensor.dtype == like.dtype) return;
  fail(kDtypeError, std::string(name) + " is " + to_string(tensor.dtype) + ", expected " + to_string(like.dtype) +
                        ", the dtype of " + like_name);
}

void Check::rank(const char* name, const TensorRef& tensor, int expected, const char* meaning) const {
  if (tensor.shape.rank == expected) return;
  fail(kShapeError, std::string(name) + " is " + to_string(tensor.shape) + ", expected " + meaning);
}

void Check::min_rank(const char* name, const TensorRef& tensor, int expected) const {
  if (tensor.shape.rank >= expected) return;
  fail(kShapeError, std::string(name) + " is " + to_string(tensor.shape) + ", expected at least " +
                        std::to_string(expected) + (expected == 1 ? " axis" : " axes"));
}

void Check::shape(const char* name, const TensorRef& tensor, const Shape& expected, const char* why) const {
  if (tensor.shape == expected) return;
  fail(kShapeError, std::string(name) + " is " + to_string(tensor.shape) + ", expected " + to_string(expected) + ", " + why);
}

void Check::same_shape(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const {
  if (tensor.shape != like.shape) shape(name, tensor, like.shape, (std::string("the shape of ") + like_name).c_str());
}

void Check::same(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const {
  same_shape(name, tensor, like_name, like);
  same_dtype(name, tensor, like_name, like);
}

void Check::size(const char* name, const TensorRef& tensor, int axis, int64_t expected, const char* why) const {
  if (tensor.shape[axis] == expected) return;
  fail(kShapeError, std::string(name) + " is " + to_string(tensor.shape) + ", expected " + std::to_string(expected) +
                        " along axis " + std::to_string(axis < 0 ? tensor.shape.rank + axis : axis) + ", " + why);
}

void Check::broadcasts(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const {
  const int missing = like.shape.rank - tensor.shape.rank;
  bool fits = missing >= 0;
  for (int axis = 0; fits && axis < tensor.shape.rank; ++axis) {
    fits = tensor.shape[axis] == like.shape[axis + missing] || tensor.shape[axis] == 1;
  }
  if (fits) return;
  fail(kShapeError, std::string(name) + " is " + to_string(tensor.shape) + ", expected a shape that broadcasts to " +
                        to_string(like.shape) + ", the shape of " + like_name);
}

int Check::axis(const std::string& argument, int64_t value, int rank) const {
  require(value >= -rank && value < rank, argument, std::to_string(value),
          rank == 0 ? "a tensor with axes" : std::to_string(-rank) + " to " + std::to_string(rank - 1));
  return static_cast<int>(value < 0 ? value + rank : value);
}

void Check::require(bool holds, const std::string& argument, const std::string& got, const std::string& expected) const {
  if (!holds) fail(kArgumentError, argument + " is " + got + ", expected " + expected);
}

void Check::apart(std::vector<std::pair<std::string, const TensorRef*>> tensors) const {
  std::erase_if(tensors, [](const auto& one) { return one.second->storage == nullptr || one.second->bytes() == 0; });
  const auto begin = [](const auto& one) { return std::pair(one.second->storage.get(), one.second->offset); };
  std::ranges::stable_sort(tensors, std::less<>(), begin);
  for (size_t i = 1; i < tensors.size(); ++i) {
    const auto& [before, left] = tensors[i - 1];
    const auto& [name, right] = tensors[i];
    const bool shared = left->storage == right->storage && right->offset < left->offset + left->bytes();
    require(!shared, name, "in the memory of " + before, "memory of its own");
  }
}

void Check::positive(const char* name, double value) const {
  require(std::isfinite(value) && value > 0, name, number(value), "a finite number above 0");
}

void Check::finite(const char* name, double value) const {
  require(std::isfinite(value), name, number(value), "a finite number");
}

void Check::output(const char* name, TensorRef& tensor, const Shape& expected, Dtype expected_dtype, const char* why) const {
  if (!tensor) return;
  if (tensor.wanted) {
    tensor.shape = expected;
    tensor.dtype = expected_dtype;
    return;
  }
  shape(name, tensor, expected, why);
  dtype(name, tensor, expected_dtype);
}

}  // namespace mglmm
