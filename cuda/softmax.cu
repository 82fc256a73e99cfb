// A warp or a block a row, which is read from memory once and then from the cache.
#include "kernels/softmax.h"

#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(512) forward_kernel(RowTeams teams, const T* x, T* y) {
  if (teams.row() >= teams.rows) return;
  const int64_t first = teams.row() * teams.size;
  const ExpSum sum = exp_sum(teams, x + first);
  const float factor = 1.0F / sum.total;
  write_row(
      teams, y + first, [&](int64_t, float v) { return expf(v - sum.base) * factor; }, x + first);
}

template <typename T>
__global__ void __launch_bounds__(512) backward_kernel(RowTeams teams, const T* dy, const T* y, T* dx) {
  if (teams.row() >= teams.rows) return;
  const int64_t first = teams.row() * teams.size;
  float total = 0;
  each_packet(
      teams,
      [&](int64_t, const auto& d, const auto& v) {
        for (size_t k = 0; k < std::size(d.values); ++k) total += to_float(d.values[k]) * to_float(v.values[k]);
      },
      dy + first, y + first);
  total = teams.sum(total);
  write_row(
      teams, dx + first, [&](int64_t, float d, float v) { return v * (d - total); }, dy + first, y + first);
}

}  // namespace

void run(const Softmax& op, CudaStream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const RowTeams teams(op.x.count() / size, size, kPacket<T>);
    launch(stream, forward_kernel<T>, teams.grid(), teams, op.x.data<T>(), op.y.data<T>());
  });
}

void run(const SoftmaxBackward& op, CudaStream& stream) {
  const int64_t size = op.y.shape[-1];
  if (!op.dx || op.y.count() == 0) return;
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const RowTeams teams(op.y.count() / size, size, kPacket<T>);
    launch(stream, backward_kernel<T>, teams.grid(), teams, op.dy.data<T>(), op.y.data<T>(), op.dx.data<T>());
  });
}

}  // namespace mglmm::cuda
