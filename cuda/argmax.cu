// A warp or a block a row.
#include "kernels/argmax.h"

#include "cuda/largest.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512) argmax_kernel(RowTeams teams, const T* x, int32_t* ids) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  const Candidate best = first_of_row(teams, x + row * teams.size, [](const Candidate&) { return true; });
  if (teams.rank() == 0) ids[row] = best.index;
}

}  // namespace

void run(const Argmax& op, CudaStream& stream) {
  if (!op.ids) return;
  const int64_t size = op.x.shape[-1];
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const RowTeams teams(op.ids.count(), size, kPacket<T>);
    launch(stream, argmax_kernel<T>, teams.grid(), teams, op.x.data<T>(), op.ids.data<int32_t>());
  });
}

}  // namespace mglmm::cuda
