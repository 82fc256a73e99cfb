#include "kernels/mul.h"

#include "cuda/broadcast.cuh"
#include "cuda/sums.cuh"

namespace mglmm::cuda {
namespace {

struct Product {
  __device__ float operator()(float a, float b) const { return a * b; }
};

template <typename T>
struct ProductAt {
  const T* a;
  const T* b;
  __device__ float operator()(int64_t i) const { return to_float(a[i]) * to_float(b[i]); }
};

}  // namespace

void run(const Mul& op, CudaStream& stream) {
  by_dtype(op.a.dtype, [&]<typename T>(Type<T>) {
    broadcast(stream, broadcast_axes(op.a.shape, op.b.shape), op.a.data<T>(), op.b.data<T>(), op.y.data<T>(), Product{});
  });
}

void run(const MulBackward& op, CudaStream& stream) {
  const Axes axes = broadcast_axes(op.a.shape, op.b.shape);
  by_dtype(op.a.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* a = op.a.data<T>();
    if (op.da) broadcast(stream, axes, dy, op.b.data<T>(), op.da.data<T>(), Product{});
    if (!op.db) return;
    if (op.a.count() == op.b.count())
      map(stream, op.a.count(), Product{}, op.db.data<T>(), dy, a);
    else
      sum_over(stream, axes, ProductAt<T>{dy, a}, StoreSum<T>{op.db.data<T>()});
  });
}

}  // namespace mglmm::cuda
