#include "kernels/argmax.h"

#include "cuda/largest.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512) argmax_kernel(int64_t size, const T* x, int32_t* ids) {
  const T* row = x + blockIdx.x * size;
  Candidate best = no_candidate();
  each_packet<1>(size, [&](int64_t i) {
    const Candidate candidate{sort_key(to_float(row[i])), static_cast<int32_t>(i)};
    if (candidate.before(best)) best = candidate;
  });
  best = first_of_block(best);
  if (threadIdx.x == 0) ids[blockIdx.x] = best.index;
}

}  // namespace

void run(const Argmax& op, CudaStream& stream) {
  if (!op.ids) return;
  const int64_t size = op.x.shape[-1];
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    launch(stream, argmax_kernel<T>, {.blocks = op.ids.count(), .threads = threads_for_row(size)}, size, op.x.data<T>(),
           op.ids.data<int32_t>());
  });
}

}  // namespace mglmm::cuda
