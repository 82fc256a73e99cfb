#include "kernels/linear.h"

#include "cpu/product.h"

namespace mglmm::cpu {
namespace {

// @param rows - x, or y.
LinearSizes sizes_of(const ConstTensor& rows, const Weight& weight) {
  return {rows.shape.count(0, rows.shape.rank - 1), weight.shape[1], weight.shape[0]};
}

}  // namespace

void run(const Linear& op, Stream& stream) {
  linear_product(sizes_of(op.x, op.weight), op.x.dtype, op.x.raw(), op.weight, op.bias ? op.bias->raw() : nullptr,
                 op.residual ? op.residual->raw() : nullptr, op.y.raw(), stream);
}

void run(const LinearBackward& op, Stream& stream) {
  const LinearSizes sizes = sizes_of(op.dy, op.weight);
  const Dtype dtype = op.dy.dtype;
  if (op.dx) linear_input_gradient(sizes, dtype, op.dy.raw(), op.weight, op.dx.raw(), stream);
  if (op.dweight && op.x) linear_weight_gradient(sizes, dtype, op.dy.raw(), op.x->raw(), op.dweight.raw(), stream);
  if (op.dbias) linear_bias_gradient(sizes, dtype, op.dy.raw(), op.dbias.raw());
}

}  // namespace mglmm::cpu
