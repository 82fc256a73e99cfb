// A warp or a block a row, which is read once and stays in registers.
#include "kernels/rms_norm.h"

#include "cuda/norm_weights.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    forward_kernel(RowTeams teams, const T* x, const T* weight, float eps, T* y, float* rstds) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  y += row * teams.size;
  const HeldRow<packet, T> values(teams, x + row * teams.size);
  const HeldRow<packet, T> weights(teams, weight);
  float square = 0;
  each_held(
      teams,
      [&](int64_t, const auto& v) {
        for (int k = 0; k < packet; ++k) square += to_float(v.values[k]) * to_float(v.values[k]);
      },
      values);
  const float rstd = 1.0F / sqrtf(teams.sum(square) / static_cast<float>(teams.size) + eps);
  if (rstds != nullptr && teams.rank() == 0) rstds[row] = rstd;
  each_held(
      teams,
      [&](int64_t i, const auto& v, const auto& w) {
        Packet<T, packet> result;
        for (int k = 0; k < packet; ++k) put(result.values[k], to_float(v.values[k]) * rstd * to_float(w.values[k]));
        store_packet(y + i, result);
      },
      values, weights);
}

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    backward_kernel(RowTeams teams, const T* dy, const T* x, const T* weight, const float* rstds, T* dx) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  const int64_t first = row * teams.size;
  const HeldRow<packet, T> gradients(teams, dy + first);
  const HeldRow<packet, T> values(teams, x + first);
  const HeldRow<packet, T> weights(teams, weight);
  const float rstd = rstds[row];
  float along = 0;  // of g with x
  each_held(
      teams,
      [&](int64_t, const auto& d, const auto& v, const auto& w) {
        for (int k = 0; k < packet; ++k) along += to_float(d.values[k]) * to_float(w.values[k]) * to_float(v.values[k]);
      },
      gradients, values, weights);
  const float back = teams.sum(along) * rstd * rstd / static_cast<float>(teams.size);
  each_held(
      teams,
      [&](int64_t i, const auto& d, const auto& v, const auto& w) {
        Packet<T, packet> result;
        for (int k = 0; k < packet; ++k) {
          put(result.values[k], rstd * (to_float(d.values[k]) * to_float(w.values[k]) - to_float(v.values[k]) * back));
        }
        store_packet(dx + first + i, result);
      },
      gradients, values, weights);
}

}  // namespace

void run(const RmsNorm& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    T* y = op.y.data<T>();
    float* rstd = op.rstd ? op.rstd.data<float>() : nullptr;
    by_packet<T>(
        dim,
        [&](auto packet) {
          const RowTeams teams(op.x.count() / dim, dim, packet.value);
          launch(stream, forward_kernel<packet.value, T>, teams.grid(), teams, x, weight, op.eps, y, rstd);
        },
        x, weight, y);
  });
}

void run(const RmsNormBackward& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (dim == 0) return;
  const int64_t rows = op.x.count() / dim;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const float* rstd = op.rstd.data<float>();
    if (op.dx) {
      T* dx = op.dx.data<T>();
      by_packet<T>(
          dim,
          [&](auto packet) {
            const RowTeams teams(rows, dim, packet.value);
            launch(stream, backward_kernel<packet.value, T>, teams.grid(), teams, dy, x, weight, rstd, dx);
          },
          dy, x, weight, dx);
    }
    norm_weight_gradients<T>(stream, rows, dim, dy, x, nullptr, rstd, op.dweight ? op.dweight.data<T>() : nullptr, nullptr);
  });
}

}  // namespace mglmm::cuda
