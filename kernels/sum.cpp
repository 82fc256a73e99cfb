#include "kernels/sum.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

Shape reduced(const Check& check, const Shape& shape, const std::vector<int64_t>& axes, bool keep_dims) {
  std::array<bool, Shape::kMaxRank> seen{};
  for (size_t i = 0; i < axes.size(); ++i) {
    const std::string argument = "axes[" + std::to_string(i) + "]";
    const int axis = check.axis(argument, axes[i], shape.rank);
    check.require(!seen[axis], argument, std::to_string(axes[i]), "each axis once");
    seen[axis] = true;
  }
  Shape result;
  for (int axis = 0; axis < shape.rank; ++axis) {
    if (axes.empty() || seen[axis]) {
      if (keep_dims) result.push(1);
    } else {
      result.push(shape[axis]);
    }
  }
  return result;
}

}  // namespace

void check(Sum& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.output("y", op.y, reduced(check, op.x.shape, op.axes, op.keepDims), op.x.dtype);
}

void check(SumBackward& op) {
  const Check check(op);
  check.floating("dy", op.dy);
  check.shape("dy", op.dy, reduced(check, op.shape, op.axes, op.keepDims), "the shape of the sum");
  check.output("dx", op.dx, op.shape, op.dy.dtype);
}

}  // namespace mglmm
