#include "kernels/top_k.h"

#include "cpu/largest.h"
#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const TopK& op, Stream&) {
  const int64_t size = op.x.shape[-1];
  const int64_t k = op.k;
  if (k == 0) return;
  int32_t* ids = op.ids ? op.ids.data<int32_t>() : nullptr;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* values = op.values ? op.values.data<T>() : nullptr;
    parallel_ranges(op.x.count() / size, std::max<int64_t>(1, 2 * kElementGrain / size), [=](int64_t begin, int64_t end) {
      std::vector<Candidate> largest;
      for (int64_t row = begin; row < end; ++row) {
        find_largest(x + row * size, size, k, largest);
        for (int64_t i = 0; i < k; ++i) {
          const int32_t index = largest[static_cast<size_t>(i)].index;
          if (ids) ids[row * k + i] = index;
          if (values) values[row * k + i] = x[row * size + index];
        }
      }
    });
  });
}

}  // namespace mglmm::cpu
