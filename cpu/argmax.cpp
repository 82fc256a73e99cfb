#include "kernels/argmax.h"

#include "cpu/largest.h"
#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Argmax& op, Stream&) {
  if (!op.ids) return;
  const int64_t size = op.x.shape[-1];
  int32_t* ids = op.ids.data<int32_t>();
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    parallel_ranges(op.ids.count(), std::max<int64_t>(1, 4 * kElementGrain / size), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) ids[row] = index_of_largest(x + row * size, size);
    });
  });
}

}  // namespace mglmm::cpu
