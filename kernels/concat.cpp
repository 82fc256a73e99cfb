#include "kernels/concat.h"

#include "kernels/check.h"

namespace mglmm {

void check(Concat& op) {
  const Check check(op);
  check.require(!op.xs.empty(), "xs", "an empty array", "at least one tensor");
  const ConstTensor& first = op.xs[0];
  const int axis = check.axis("axis", op.axis, first.shape.rank);
  int64_t total = 0;
  for (size_t i = 0; i < op.xs.size(); ++i) {
    const std::string name = "xs[" + std::to_string(i) + "]";
    check.same_dtype(name.c_str(), op.xs[i], "xs[0]", first);
    check.rank(name.c_str(), op.xs[i], first.shape.rank, ("as many axes as xs[0] " + to_string(first.shape)).c_str());
    Shape expected = first.shape;
    expected[axis] = op.xs[i].shape[axis];
    check.shape(name.c_str(), op.xs[i], expected, ("xs[0] but along axis " + std::to_string(axis)).c_str());
    total += op.xs[i].shape[axis];
    if (total > Shape::kMaxCount) total = Shape::kMaxCount + 1;
  }
  Shape shape;
  for (int i = 0; i < first.shape.rank; ++i) shape.push(i == axis ? total : first.shape[i]);
  check.output("y", op.y, shape, first.dtype);
}

}  // namespace mglmm
