#include "kernels/linear.h"

#include "cuda/product.h"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
struct ValueAt {
  const T* x;
  __device__ float operator()(int64_t i) const { return to_float(x[i]); }
};

// Of y = x weight^T.
Product sizes_of(const ConstTensor& x, const Weight& weight) {
  if (weight.layout == Layout::packed) {
    throw Error(kArgumentError, "linear: weight is packed, expected rows: this device likes no other order");
  }
  return {.rows = x.shape.count(0, x.shape.rank - 1),
          .columns = weight.shape[0],
          .inner = weight.shape[1],
          .b_transposed = true,
          .dtype = x.dtype,
          .result = x.dtype};
}

}  // namespace

void run(const Linear& op, CudaStream& stream) {
  product(stream, sizes_of(op.x, op.weight), op.x.raw(), op.weight.raw(), op.bias ? op.bias->raw() : nullptr, op.y.raw());
}

void run(const LinearBackward& op, CudaStream& stream) {
  const Product p = sizes_of(op.x, op.weight);
  if (op.dx) {
    Product dx = p;  // dy weight
    dx.columns = p.inner;
    dx.inner = p.columns;
    dx.b_transposed = false;
    product(stream, dx, op.dy.raw(), op.weight.raw(), nullptr, op.dx.raw());
  }
  if (op.dweight) {
    Product dweight = p;  // dy^T x
    dweight.rows = p.columns;
    dweight.columns = p.inner;
    dweight.inner = p.rows;
    dweight.a_transposed = true;
    dweight.b_transposed = false;
    product(stream, dweight, op.dy.raw(), op.x.raw(), nullptr, op.dweight.raw());
  }
  if (op.dbias) {
    by_dtype(op.dy.dtype, [&]<typename T>(Type<T>) {
      sum_over(stream, over_rows(p.rows, p.columns), ValueAt<T>{op.dy.data<T>()}, StoreSum<T>{op.dbias.data<T>()});
    });
  }
}

}  // namespace mglmm::cuda
