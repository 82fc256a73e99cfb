#include "kernels/softmax.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

int64_t grain_of_rows(int64_t size) { return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(size, 1)); }

}  // namespace

void run(const Softmax& op, Stream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.x.count() == 0) return;
  float* scratch = op.x.dtype == Dtype::f32 ? nullptr : stream.scratch_of<float>(thread_count() * size);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    parallel_ranges(op.x.count() / size, grain_of_rows(size), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from = x + row * size;
        T* to = y + row * size;
        float* exponentials;  // in f32 whatever T is: the sum is of what is divided by it
        if constexpr (std::is_same_v<T, float>)
          exponentials = to;
        else
          exponentials = scratch + thread_index() * size;
        vfloat most = splat(-std::numeric_limits<float>::infinity());
        int64_t i = 0;
        for (; i + kLanes <= size; i += kLanes) most = max(load(from + i), most);
        float largest = max(most);
        for (; i < size; ++i) largest = std::max(largest, static_cast<float>(from[i]));
        vfloat sums = splat(0);
        for (i = 0; i + kLanes <= size; i += kLanes) {
          const vfloat e = exp(load(from + i) - largest);
          store(exponentials + i, e);
          sums += e;
        }
        float total = sum(sums);
        if (i < size) {
          store(exponentials + i, exp(load(from + i, size - i) - largest), size - i);
          for (int64_t rest = i; rest < size; ++rest) total += exponentials[rest];
        }
        const float factor = 1.0F / total;
        by_lanes(0, size,
                 [=](int64_t at, auto... lanes) { store(to + at, load(exponentials + at, lanes...) * factor, lanes...); });
      }
    });
  });
}

void run(const SoftmaxBackward& op, Stream&) {
  const int64_t size = op.y.shape[-1];
  if (!op.dx || op.y.count() == 0) return;
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* y = op.y.data<T>();
    T* dx = op.dx.data<T>();
    parallel_ranges(op.y.count() / size, grain_of_rows(size), [=](int64_t begin, int64_t end) {
      for (int64_t start = begin * size; start < end * size; start += size) {
        vfloat sums = splat(0);
        by_lanes(start, start + size,
                 [&](int64_t i, auto... lanes) { sums += load(dy + i, lanes...) * load(y + i, lanes...); });
        const float total = sum(sums);
        by_lanes(start, start + size, [=](int64_t i, auto... lanes) {
          store(dx + i, load(y + i, lanes...) * (load(dy + i, lanes...) - total), lanes...);
        });
      }
    });
  });
}

}  // namespace mglmm::cpu
