// The words in which every op refuses what does not fit: op, argument, got, expected, why.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/error.h"
#include "kernels/tensor.h"

namespace mglmm {

class Check {
 public:
  template <typename Op>
  explicit Check(const Op&) : op_(Op::name) {}

  // gate is i32, expected f32, bf16 or f16
  void floating(const char* name, const TensorRef& tensor) const;
  void dtype(const char* name, const TensorRef& tensor, Dtype expected) const;
  // up is bf16, expected f32, the dtype of gate
  void same_dtype(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const;
  void rank(const char* name, const TensorRef& tensor, int expected, const char* meaning) const;
  // x is [], expected at least 1 axis
  void min_rank(const char* name, const TensorRef& tensor, int expected) const;
  // up is [2, 5], expected [2, 4], the shape of gate
  void shape(const char* name, const TensorRef& tensor, const Shape& expected, const char* why) const;
  void same_shape(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const;
  void same(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const;
  // weight has size 5 along axis 1, expected 4, the last size of x
  void size(const char* name, const TensorRef& tensor, int axis, int64_t expected, const char* why) const;
  // b is [5], expected a shape that broadcasts to [2, 4], the shape of a
  void broadcasts(const char* name, const TensorRef& tensor, const char* like_name, const TensorRef& like) const;
  // axis is 3, expected -2 to 1; gives the axis counted from 0
  int axis(const std::string& argument, int64_t value, int rank) const;
  // eps is -1, expected a finite number above 0
  void require(bool holds, const std::string& argument, const std::string& got, const std::string& expected) const;
  void positive(const char* name, double value) const;
  void finite(const char* name, double value) const;
  // expAvg[1] is in the memory of expAvg[0], expected memory of its own. For what is changed in place: threads take the
  // parts in any order.
  void apart(std::vector<std::pair<std::string, const TensorRef*>> tensors) const;
  // Sets shape and dtype of an output that is to be made, compares them of one that was given, passes one not wanted.
  void output(const char* name, TensorRef& tensor, const Shape& expected, Dtype expected_dtype,
              const char* why = "the shape of the result") const;

  // A number as messages write it.
  static std::string number(double value);

  [[noreturn]] void fail(const char* code, const std::string& message) const;

 private:
  std::string_view op_;
};

}  // namespace mglmm
