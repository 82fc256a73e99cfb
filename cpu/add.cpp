#include "kernels/add.h"

#include "cpu/elementwise.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Add& op, Stream&) {
  by_dtype(op.a.dtype, [&]<typename T>(Type<T>) {
    broadcast(broadcast_axes(op.a.shape, op.b.shape), op.a.data<T>(), op.b.data<T>(), op.y.data<T>(),
              [](vfloat a, vfloat b) { return a + b; });
  });
}

}  // namespace mglmm::cpu
