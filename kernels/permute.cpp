#include "kernels/permute.h"

#include <array>

#include "kernels/check.h"

namespace mglmm {

void check(Permute& op) {
  const Check check(op);
  const int rank = op.x.shape.rank;
  check.require(static_cast<int64_t>(op.axes.size()) == rank, "axes", std::to_string(op.axes.size()) + " axes",
                "the " + std::to_string(rank) + " of x " + to_string(op.x.shape));
  std::array<bool, Shape::kMaxRank> seen{};
  Shape shape;
  for (size_t i = 0; i < op.axes.size(); ++i) {
    const std::string argument = "axes[" + std::to_string(i) + "]";
    const int axis = check.axis(argument, op.axes[i], rank);
    check.require(!seen[axis], argument, std::to_string(op.axes[i]), "each axis once");
    seen[axis] = true;
    shape.push(op.x.shape[axis]);
  }
  check.output("y", op.y, shape, op.x.dtype);
}

}  // namespace mglmm
