#include "kernels/scale.h"

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Scale& op, Stream&) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    const float factor = op.factor;
    const float shift = op.shift;
    parallel_ranges(op.y.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end,
               [=](int64_t i, auto... lanes) { store(y + i, load(x + i, lanes...) * factor + shift, lanes...); });
    });
  });
}

}  // namespace mglmm::cpu
