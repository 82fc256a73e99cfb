#include "kernels/slice.h"

#include "kernels/check.h"

namespace mglmm {

void check(Slice& op) {
  const Check check(op);
  const int axis = check.axis("axis", op.axis, op.x.shape.rank);
  const int64_t size = op.x.shape[axis];
  check.require(op.begin >= 0 && op.begin <= size, "begin", std::to_string(op.begin), "0 to " + std::to_string(size));
  check.require(op.end >= op.begin && op.end <= size, "end", std::to_string(op.end),
                std::to_string(op.begin) + " to " + std::to_string(size));
  Shape shape = op.x.shape;
  shape[axis] = op.end - op.begin;
  check.output("y", op.y, shape, op.x.dtype);
}

void check(SliceBackward& op) {
  const Check check(op);
  const int axis = check.axis("axis", op.axis, op.dy.shape.rank);
  const int64_t taken = op.dy.shape[axis];
  check.require(op.begin >= 0 && op.begin <= Shape::kMaxCount, "begin", std::to_string(op.begin), "an index along axis");
  check.require(op.size >= op.begin + taken, "size", std::to_string(op.size),
                "at least " + std::to_string(op.begin + taken));
  Shape shape;
  for (int i = 0; i < op.dy.shape.rank; ++i) shape.push(i == axis ? op.size : op.dy.shape[i]);
  check.output("dx", op.dx, shape, op.dy.dtype);
}

}  // namespace mglmm
