#include "kernels/embedding.h"

#include "kernels/check.h"

namespace mglmm {
namespace {

template <typename Op>
Shape rows_of(const Check& check, const Op& op) {
  check.rank("weight", op.weight, 2, "[vocab, dim]");
  check.dtype("ids", op.ids, Dtype::i32);
  Shape shape = op.ids.shape;
  shape.push(op.weight.shape[1]);
  return shape;
}

}  // namespace

void check(Embedding& op) {
  const Check check(op);
  check.output("y", op.y, rows_of(check, op), op.weight.dtype, "a row for each of ids");
}

void check(EmbeddingBackward& op) {
  const Check check(op);
  const Shape shape = rows_of(check, op);
  check.floating("weight", op.weight);
  check.shape("dy", op.dy, shape, "a row for each of ids");
  check.same_dtype("dy", op.dy, "weight", op.weight);
  check.output("dweight", op.dweight, op.weight.shape, op.weight.dtype, "the shape of weight");
}

}  // namespace mglmm
