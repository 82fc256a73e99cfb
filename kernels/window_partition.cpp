#include "kernels/window_partition.h"

#include "kernels/check.h"

namespace mglmm {

void check(WindowPartition& op) {
  const Check check(op);
  check.rank("x", op.x, 4, "[batch, height, width, dim]");
  if (op.padding) {
    check.same_dtype("padding", *op.padding, "x", op.x);
    check.shape("padding", *op.padding, {op.x.shape[3]}, "the last size of x");
  }
  check.require(op.window >= 1, "window", std::to_string(op.window), "at least 1");
  const Shape tall{op.x.shape[0], windows_along(op.x.shape[1], op.window)};
  const Shape windows{tall.count(), windows_along(op.x.shape[2], op.window)};
  check.output("y", op.y, Shape{windows.count(), op.window, op.window, op.x.shape[3]}, op.x.dtype);
}

void check(WindowUnpartition& op) {
  const Check check(op);
  check.rank("x", op.x, 4, "[windows, window, window, dim]");
  const int64_t window = op.x.shape[1];
  check.size("x", op.x, 2, window, "as windows are square");
  check.require(window >= 1, "window", std::to_string(window), "at least 1");
  check.require(op.height >= 1, "height", std::to_string(op.height), "at least 1");
  check.require(op.width >= 1, "width", std::to_string(op.width), "at least 1");
  const int64_t each = Shape{windows_along(op.height, window), windows_along(op.width, window)}.count();
  check.require(op.x.shape[0] % each == 0, "x", to_string(op.x.shape),
                "a multiple of " + std::to_string(each) + " windows, as many as a map has");
  check.output("y", op.y, Shape{op.x.shape[0] / each, op.height, op.width, op.x.shape[3]}, op.x.dtype);
}

}  // namespace mglmm
