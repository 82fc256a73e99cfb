// A warp or a block a row, which is read once and stays in registers.
#include "kernels/rms_norm.h"

#include "cuda/norm_weights.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

// Of x, or where `connected` of x + residual, which goes to `sum`.
template <bool connected, int packet, typename T>
__global__ void __launch_bounds__(512)
    forward_kernel(RowTeams teams, const T* x, const T* residual, const T* weight, float eps, T* sum, T* y, float* rstds) {
  begin_early();
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  const int64_t first = row * teams.size;
  y += first;
  const auto values = [&] {
    if constexpr (connected)
      return HeldRow<packet, T>(teams, x + first, residual + first, sum + first);
    else
      return HeldRow<packet, T>(teams, x + first);
  }();
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

// Where `connected`, dsum is added to dx.
template <bool connected, int packet, typename T>
__global__ void __launch_bounds__(512)
    backward_kernel(RowTeams teams, const T* dy, const T* dsum, const T* x, const T* weight, const float* rstds, T* dx) {
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
        float sums[packet];
        for (int k = 0; k < packet; ++k) {
          sums[k] = rstd * (to_float(d.values[k]) * to_float(w.values[k]) - to_float(v.values[k]) * back);
        }
        if constexpr (connected) {
          const auto more = load_packet<packet>(dsum + first + i);
          for (int k = 0; k < packet; ++k) sums[k] += to_float(more.values[k]);
        }
        Packet<T, packet> result;
        for (int k = 0; k < packet; ++k) put(result.values[k], sums[k]);
        store_packet(dx + first + i, result);
      },
      gradients, values, weights);
}

template <typename T, typename Op>
void normalize(const Op& op, CudaStream& stream, const T* residual, T* sum) {
  if (op.x.count() == 0) return;
  const int64_t dim = op.x.shape[-1];
  const T* x = op.x.template data<T>();
  const T* weight = op.weight.template data<T>();
  T* y = op.y.template data<T>();
  float* rstd = op.rstd ? op.rstd.template data<float>() : nullptr;
  by_packet<T>(
      dim,
      [&](auto packet) {
        const RowTeams teams(op.x.count() / dim, dim, packet.value);
        const auto kernel =
            residual == nullptr ? forward_kernel<false, packet.value, T> : forward_kernel<true, packet.value, T>;
        Grid grid = teams.grid();
        grid.early = true;
        launch(stream, kernel, grid, teams, x, residual, weight, op.eps, sum, y, rstd);
      },
      residual == nullptr ? x : sum, weight, y);  // the order of a sum does not depend on where its summands begin
}

template <typename T, typename Op>
void differentiate(const Op& op, CudaStream& stream, const T* dy, const T* dsum, const ConstTensor& normed) {
  const int64_t dim = normed.shape[-1];
  const int64_t rows = normed.count() / dim;
  const T* x = normed.data<T>();
  const T* weight = op.weight.template data<T>();
  const float* rstd = op.rstd.template data<float>();
  if (op.dx) {
    T* dx = op.dx.template data<T>();
    by_packet<T>(
        dim,
        [&](auto packet) {
          const RowTeams teams(rows, dim, packet.value);
          const auto kernel =
              dsum == nullptr ? backward_kernel<false, packet.value, T> : backward_kernel<true, packet.value, T>;
          launch(stream, kernel, teams.grid(), teams, dy, dsum, x, weight, rstd, dx);
        },
        dy, dsum, x, weight, dx);
  }
  norm_weight_gradients<T>(stream, rows, dim, dy, x, nullptr, rstd, op.dweight ? op.dweight.template data<T>() : nullptr,
                           nullptr);
}

}  // namespace

void run(const RmsNorm& op, CudaStream& stream) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { normalize<T>(op, stream, nullptr, nullptr); });
}

void run(const AddRmsNorm& op, CudaStream& stream) {
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { normalize<T>(op, stream, op.residual.data<T>(), op.sum.data<T>()); });
}

void run(const RmsNormBackward& op, CudaStream& stream) {
  if (op.x.shape[-1] == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) { differentiate<T>(op, stream, op.dy.data<T>(), nullptr, op.x); });
}

void run(const AddRmsNormBackward& op, CudaStream& stream) {
  if (op.sum.shape[-1] == 0) return;
  if (!op.dy) {
    if (op.dweight) stream.clear(op.dweight.raw(), op.dweight.bytes());
    if (op.dx && op.dsum) stream.copy(op.dx.raw(), op.dsum->raw(), op.dx.bytes());
    if (op.dx && !op.dsum) stream.clear(op.dx.raw(), op.dx.bytes());
    return;
  }
  by_dtype(op.sum.dtype, [&]<typename T>(Type<T>) {
    differentiate<T>(op, stream, op.dy->data<T>(), op.dsum ? op.dsum->data<T>() : nullptr, op.sum);
  });
}

}  // namespace mglmm::cuda
