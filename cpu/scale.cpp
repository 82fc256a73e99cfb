#include "kernels/scale.h"

#include "cpu/parallel.h"
#include "cpu/past_caches.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Scale& op, Stream&) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    const float factor = op.factor;
    const float shift = op.shift;
    const bool past_caches = exceeds_caches(op.y.bytes());
    parallel_ranges(op.y.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      store_by_lanes(y, begin, end, past_caches,
                     [=](int64_t i, auto... lanes) { return load(x + i, lanes...) * factor + shift; });
      fence_past_caches();
    });
  });
}

}  // namespace mglmm::cpu
