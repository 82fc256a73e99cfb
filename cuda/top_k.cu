// A block a row, which finds the largest, then the next, k times: the row stays in the cache, and k is small.
#include "kernels/top_k.h"

#include "cuda/largest.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512) top_k_kernel(int64_t size, int64_t k, const T* x, T* values, int32_t* ids) {
  const T* row = x + blockIdx.x * size;
  Candidate last{INT32_MAX, -1};  // before every other
  for (int64_t i = 0; i < k; ++i) {
    Candidate best = no_candidate();
    each_packet<1>(size, [&](int64_t at) {
      const Candidate candidate{sort_key(to_float(row[at])), static_cast<int32_t>(at)};
      if (last.before(candidate) && candidate.before(best)) best = candidate;
    });
    last = first_of_block(best);
    if (threadIdx.x != 0) continue;
    if (ids != nullptr) ids[blockIdx.x * k + i] = last.index;
    if (values != nullptr) values[blockIdx.x * k + i] = row[last.index];
  }
}

}  // namespace

void run(const TopK& op, CudaStream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.k == 0 || op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    launch(stream, top_k_kernel<T>, {.blocks = op.x.count() / size, .threads = threads_for_row(size)}, size, op.k,
           op.x.data<T>(), op.values ? op.values.data<T>() : nullptr, op.ids ? op.ids.data<int32_t>() : nullptr);
  });
}

}  // namespace mglmm::cuda
