#include "kernels/linear.h"

#include "cuda/product.h"

namespace mglmm::cuda {
namespace {

// @param rows - x, or y.
LinearSizes sizes_of(const ConstTensor& rows, const Weight& weight) {
  return {rows.shape.count(0, rows.shape.rank - 1), weight.shape[1], weight.shape[0]};
}

}  // namespace

void run(const Linear& op, CudaStream& stream) {
  const LinearSizes s = sizes_of(op.x, op.weight);
  product(stream,
          {.rows = s.rows,
           .columns = s.out,
           .inner = s.in,
           .b_transposed = true,
           .dtype = op.x.dtype,
           .result = op.x.dtype,
           .addend = op.residual ? op.residual->raw() : nullptr},
          op.x.raw(), op.weight.raw(), op.bias ? op.bias->raw() : nullptr, op.y.raw());
}

void run(const LinearBackward& op, CudaStream& stream) {
  const LinearSizes s = sizes_of(op.dy, op.weight);
  const Dtype dtype = op.dy.dtype;
  if (op.dx) linear_input_gradient(stream, s, dtype, op.dy.raw(), op.weight.raw(), op.dx.raw());
  if (op.dweight && op.x) linear_weight_gradient(stream, s, dtype, op.dy.raw(), op.x->raw(), op.dweight.raw());
  if (op.dbias) linear_bias_gradient(stream, s, dtype, op.dy.raw(), op.dbias.raw());
}

}  // namespace mglmm::cuda
