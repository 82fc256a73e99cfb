#include "kernels/mul.h"

#include "cpu/elementwise.h"
#include "cpu/reduce.h"

namespace mglmm::cpu {

void run(const Mul& op, Stream&) {
  by_dtype(op.a.dtype, [&]<typename T>(Type<T>) {
    broadcast(broadcast_axes(op.a.shape, op.b.shape), op.a.data<T>(), op.b.data<T>(), op.y.data<T>(),
              [](vfloat a, vfloat b) { return a * b; });
  });
}

void run(const MulBackward& op, Stream& stream) {
  const Axes axes = broadcast_axes(op.a.shape, op.b.shape);
  by_dtype(op.a.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* a = op.a.data<T>();
    if (op.da) broadcast(axes, dy, op.b.data<T>(), op.da.data<T>(), [](vfloat d, vfloat b) { return d * b; });
    if (!op.db) return;
    T* db = op.db.data<T>();
    if (op.a.shape.count() == op.b.shape.count()) {
      broadcast(axes, dy, a, db, [](vfloat d, vfloat v) { return d * v; });
    } else {
      sum_over(
          axes, stream, [=](int64_t i, auto... lanes) { return load(dy + i, lanes...) * load(a + i, lanes...); },
          [=](int64_t j, vfloat sum, auto... lanes) { store(db + j, sum, lanes...); });
    }
  });
}

}  // namespace mglmm::cpu
