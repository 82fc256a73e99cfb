#include "kernels/swiglu.h"

#include "cpu/parallel.h"
#include "cpu/past_caches.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Swiglu& op, Stream&) {
  by_dtype(op.gate.dtype, [&]<typename T>(Type<T>) {
    const T* gate = op.gate.data<T>();
    const T* up = op.up.data<T>();
    T* y = op.y.data<T>();
    const bool past_caches = exceeds_caches(op.y.bytes());
    parallel_ranges(op.y.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      store_by_lanes(y, begin, end, past_caches, [=](int64_t i, auto... lanes) {
        const vfloat g = load(gate + i, lanes...);
        return g * sigmoid(g) * load(up + i, lanes...);
      });
      fence_past_caches();
    });
  });
}

void run(const SwigluBackward& op, Stream&) {
  by_dtype(op.gate.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* gate = op.gate.data<T>();
    const T* up = op.up.data<T>();
    T* dgate = op.dgate ? op.dgate.data<T>() : nullptr;
    T* dup = op.dup ? op.dup.data<T>() : nullptr;
    parallel_ranges(op.gate.count(), kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) {
        const vfloat g = load(gate + i, lanes...);
        const vfloat d = load(dy + i, lanes...);
        const vfloat s = sigmoid(g);
        if (dgate) store(dgate + i, d * load(up + i, lanes...) * s * (1.0F + g * (1.0F - s)), lanes...);
        if (dup) store(dup + i, d * g * s, lanes...);
      });
    });
  });
}

}  // namespace mglmm::cpu
