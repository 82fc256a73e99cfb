#include "kernels/matmul.h"

#include "cuda/product.h"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
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
void stacked(CudaStream& stream, Product p, Operand a, Operand b, bool summed, std::byte* y) {
  p.a_transposed = a.transposed;
  p.b_transposed = b.transposed;
  p.a_shared = a.shared;
  p.b_shared = b.shared;
  if (!summed) {
    // Matrices that stand one below the other, by one matrix for all, are one product.
    if (!a.shared && !a.transposed && b.shared) {
      p.rows *= p.stack;
      p.stack = 1;
      p.b_shared = false;
    }
    return product(stream, p, a.data, b.data, nullptr, y);
  }
  const int64_t count = p.rows * p.columns;
  if (p.stack == 0) p.stack = 1, p.inner = 0;
  // So are sums over the stack where it stands along the inner axis of both.
  if (a.transposed && !b.transposed) {
    p.inner *= p.stack;
    p.stack = 1;
  }
  if (p.stack == 1) return product(stream, p, a.data, b.data, nullptr, y);
  const Dtype dtype = p.result;
  p.result = Dtype::f32;
  auto* products = stream.scratch_of<float>(p.stack * count);
  product(stream, p, a.data, b.data, nullptr, reinterpret_cast<std::byte*>(products));
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    sum_over(stream, over_rows(p.stack, count), ValueAt<float>{products}, StoreSum<T>{reinterpret_cast<T*>(y)});
  });
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

void run(const Matmul& op, CudaStream& stream) {
  const Product p = sizes_of(op);
  stacked(stream, p, operand(op.a, op.transposeA, p.stack), operand(op.b, op.transposeB, p.stack), false, op.y.raw());
}

// da = dy b^T [rows, inner], or its transpose b dy^T where a is stored transposed; db alike.
void run(const MatmulBackward& op, CudaStream& stream) {
  const Product p = sizes_of(op);
  const Operand a = operand(op.a, op.transposeA, p.stack);
  const Operand b = operand(op.b, op.transposeB, p.stack);
  const Operand dy{op.dy.raw(), false, false};
  const auto gradient = [&](const Tensor& to, const ConstTensor& of, int64_t rows, int64_t columns, int64_t inner,
                            Operand left, Operand right) {
    Product product = p;
    product.rows = rows;
    product.columns = columns;
    product.inner = inner;
    stacked(stream, product, left, right, of.shape.rank < op.dy.shape.rank, to.raw());
  };
  if (op.da && op.transposeA) gradient(op.da, op.a, p.inner, p.rows, p.columns, b, transpose(dy));
  if (op.da && !op.transposeA) gradient(op.da, op.a, p.rows, p.inner, p.columns, dy, transpose(b));
  if (op.db && op.transposeB) gradient(op.db, op.b, p.columns, p.inner, p.rows, transpose(dy), a);
  if (op.db && !op.transposeB) gradient(op.db, op.b, p.inner, p.columns, p.rows, transpose(a), dy);
}

}  // namespace mglmm::cuda
