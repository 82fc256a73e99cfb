// A warp or a block a row, which finds the largest, then the next, k times: the row stays in the cache, and k is small.
#include "kernels/top_k.h"

#include "cuda/largest.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512) top_k_kernel(RowTeams teams, int64_t k, const T* x, T* values, int32_t* ids) {
  if (teams.row() >= teams.rows) return;
  const T* row = x + teams.row() * teams.size;
  Candidate last{INT32_MAX, -1};  // before every other
  for (int64_t i = teams.row() * k; i < (teams.row() + 1) * k; ++i) {
    last = first_of_row(teams, row, [=](const Candidate& candidate) { return last.before(candidate); });
    if (teams.rank() != 0) continue;
    if (ids != nullptr) ids[i] = last.index;
    if (values != nullptr) values[i] = row[last.index];
  }
}

}  // namespace

void run(const TopK& op, CudaStream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.k == 0 || op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const RowTeams teams(op.x.count() / size, size, kPacket<T>);
    launch(stream, top_k_kernel<T>, teams.grid(), teams, op.k, op.x.data<T>(), op.values ? op.values.data<T>() : nullptr,
           op.ids ? op.ids.data<int32_t>() : nullptr);
  });
}

}  // namespace mglmm::cuda
