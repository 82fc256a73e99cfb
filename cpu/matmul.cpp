#include "kernels/matmul.h"

#include "cpu/product.h"

namespace mglmm::cpu {
namespace {

struct Operand {
  const std::byte* data;
  bool transposed, shared;
};

Operand operand(const ConstTensor& tensor, bool transposed, int64_t stack) {
  return {tensor.raw(), transposed, tensor.shape.rank == 2 && stack > 1};
}
Operand transpose(Operand operand) { return {operand.data, !operand.transposed, operand.shared}; }

// y[s] = a[s] b[s]; into one matrix for the whole stack with `summed`: y = the sum over s of a[s] b[s].
void stacked(Product p, Operand a, Operand b, bool summed, std::byte* y, Stream& stream) {
  p.a_transposed = a.transposed;
  p.b_transposed = b.transposed;
  p.a_shared = a.shared;
  p.b_shared = b.shared;
  // Matrices that stand one below the other, by one matrix for all, are one product.
  if (!summed && !a.shared && !a.transposed && b.shared) {
    p.rows *= p.stack;
    p.stack = 1;
    p.b_shared = false;
  }
  if (!summed) return product(p, a.data, b.data, nullptr, y, stream);
  if (p.stack == 0) p.stack = 1, p.inner = 0;
  // So are sums over the stack where it stands along the inner axis of both.
  if (a.transposed && !b.transposed) {
    p.inner *= p.stack;
    p.stack = 1;
  }
  const auto [a_step, b_step] = std::pair(p.rows * p.inner * size_of(p.dtype), p.inner * p.columns * size_of(p.dtype));
  const Dtype dtype = p.result;
  const int64_t count = p.rows * p.columns;
  const int64_t stack = p.stack;
  const bool through_f32 = stack > 1 && dtype != Dtype::f32;
  std::byte* sum = through_f32 ? stream.scratch(count * 4) : y;
  p.stack = 1;
  if (through_f32) p.result = Dtype::f32;
  for (int64_t s = 0; s < stack; ++s) {
    p.accumulate = s > 0;
    product(p, a.data + s * a_step, b.data + s * b_step, nullptr, sum, stream);
  }
  if (through_f32) narrow(reinterpret_cast<const float*>(sum), y, dtype, count);
}

template <typename Op>
Product sizes_of(const Op& op) {
  const Shape& longer = op.a.shape.rank >= op.b.shape.rank ? op.a.shape : op.b.shape;
  return {.stack = longer.count(0, longer.rank - 2),
          .rows = op.a.shape[op.transposeA ? -1 : -2],
          .columns = op.b.shape[op.transposeB ? -2 : -1],
          .inner = op.a.shape[op.transposeA ? -2 : -1],
          .dtype = op.a.dtype,
          .result = op.a.dtype};
}

}  // namespace

void run(const Matmul& op, Stream& stream) {
  const Product p = sizes_of(op);
  stacked(p, operand(op.a, op.transposeA, p.stack), operand(op.b, op.transposeB, p.stack), false, op.y.raw(), stream);
}

void run(const MatmulBackward& op, Stream& stream) {
  const Product p = sizes_of(op);
  const Operand a = operand(op.a, op.transposeA, p.stack);
  const Operand b = operand(op.b, op.transposeB, p.stack);
  const Operand dy{op.dy.raw(), false, false};
  // dA = dy b^T [rows, inner], or its transpose b dy^T where a is stored transposed; dB alike.
  if (op.da) {
    const bool summed = op.a.shape.rank < op.dy.shape.rank;
    Product da = p;
    da.rows = op.transposeA ? p.inner : p.rows;
    da.columns = op.transposeA ? p.rows : p.inner;
    da.inner = p.columns;
    if (op.transposeA)
      stacked(da, b, transpose(dy), summed, op.da.raw(), stream);
    else
      stacked(da, dy, transpose(b), summed, op.da.raw(), stream);
  }
  if (op.db) {
    const bool summed = op.b.shape.rank < op.dy.shape.rank;
    Product db = p;
    db.rows = op.transposeB ? p.columns : p.inner;
    db.columns = op.transposeB ? p.inner : p.columns;
    db.inner = p.rows;
    if (op.transposeB)
      stacked(db, transpose(dy), a, summed, op.db.raw(), stream);
    else
      stacked(db, transpose(a), dy, summed, op.db.raw(), stream);
  }
}

}  // namespace mglmm::cpu
