// A warp or a block a row, which is read once and stays in registers: the squares are of what is left after the mean, so
// that a mean far from 0 costs no digits.
#include "kernels/layer_norm.h"

#include "cuda/norm_weights.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <int packet, typename T>
__global__ void __launch_bounds__(512)
    forward_kernel(RowTeams teams, const T* x, const T* weight, const T* bias, float eps, T* y, float* means, float* rstds) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  y += row * teams.size;
  const HeldRow<packet, T> values(teams, x + row * teams.size);
  const HeldRow<packet, T> weights(teams, weight);
  const HeldRow<packet, T> biases(teams, bias);
  float total = 0;
  each_held(
      teams,
      [&](int64_t, const auto& v) {
        for (int k = 0; k < packet; ++k) total += to_float(v.values[k]);
      },
      values);
  const float mean = teams.sum(total) / static_cast<float>(teams.size);
  float square = 0;
  each_held(
      teams,
      [&](int64_t, const auto& v) {
        for (int k = 0; k < packet; ++k) {
          const float centred = to_float(v.values[k]) - mean;
          square += centred * centred;
        }
      },
      values);
  const float rstd = 1.0F / sqrtf(teams.sum(square) / static_cast<float>(teams.size) + eps);
  if (teams.rank() == 0) {
    if (means != nullptr) means[row] = mean;
    if (rstds != nullptr) rstds[row] = rstd;
  }
  each_held(
      teams,
      [&](int64_t i, const auto& v, const auto& w, const auto& b) {
        Packet<T, packet> result;
        for (int k = 0; k < packet; ++k) {
          put(result.values[k], (to_float(v.values[k]) - mean) * rstd * to_float(w.values[k]) + to_float(b.values[k]));
        }
        store_packet(y + i, result);
      },
      values, weights, biases);
}

constexpr int kRowsAtOnce = 4;  // of a warp

// Rows of a packet a lane: a warp takes several, so that more is on its way and the weights are read once for them.
template <int packet, typename T>
__global__ void __launch_bounds__(32 * kWarpRows)
    short_forward_kernel(int64_t rows, int size, const T* x, const T* weight, const T* bias, float eps, T* y, float* means,
                         float* rstds) {
  const int64_t first = (static_cast<int64_t>(blockIdx.x) * kWarpRows + threadIdx.x / 32) * kRowsAtOnce;
  const int rank = static_cast<int>(threadIdx.x) % 32;
  const int i = rank * packet;
  const bool holds = i < size;
  Packet<T, packet> values[kRowsAtOnce], w, b;
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) {
    if (holds && first + r < rows) values[r] = load_packet<packet>(x + (first + r) * size + i);
  }
  if (holds) {
    w = load_packet<packet>(weight + i);
    b = load_packet<packet>(bias + i);
  }
  float mean[kRowsAtOnce] = {}, rstd[kRowsAtOnce] = {};
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) {
    for (int k = 0; holds && k < packet; ++k) mean[r] += to_float(values[r].values[k]);
  }
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) mean[r] = reduce_warp<Plus>(mean[r]) / static_cast<float>(size);
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) {
    for (int k = 0; holds && k < packet; ++k) {
      const float centred = to_float(values[r].values[k]) - mean[r];
      rstd[r] += centred * centred;
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) rstd[r] = 1.0F / sqrtf(reduce_warp<Plus>(rstd[r]) / static_cast<float>(size) + eps);
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) {
    const int64_t row = first + r;
    if (row >= rows) return;
    if (rank == 0 && means != nullptr) means[row] = mean[r];
    if (rank == 0 && rstds != nullptr) rstds[row] = rstd[r];
    if (!holds) continue;
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) {
      put(result.values[k],
          (to_float(values[r].values[k]) - mean[r]) * rstd[r] * to_float(w.values[k]) + to_float(b.values[k]));
    }
    store_packet(y + row * size + i, result);
  }
}

template <int packet, typename T>
__global__ void __launch_bounds__(512) backward_kernel(RowTeams teams, const T* dy, const T* x, const T* weight,
                                                       const float* means, const float* rstds, T* dx) {
  const int64_t row = teams.row();
  if (row >= teams.rows) return;
  const int64_t first = row * teams.size;
  const HeldRow<packet, T> gradients(teams, dy + first);
  const HeldRow<packet, T> values(teams, x + first);
  const HeldRow<packet, T> weights(teams, weight);
  const float mean = means[row];
  const float rstd = rstds[row];
  float level = 0;  // sum of g
  float along = 0;  // sum of g * n
  each_held(
      teams,
      [&](int64_t, const auto& d, const auto& v, const auto& w) {
        for (int k = 0; k < packet; ++k) {
          const float g = to_float(d.values[k]) * to_float(w.values[k]);
          level += g;
          along += g * (to_float(v.values[k]) - mean) * rstd;
        }
      },
      gradients, values, weights);
  level = teams.sum(level) / static_cast<float>(teams.size);
  along = teams.sum(along) / static_cast<float>(teams.size);
  each_held(
      teams,
      [&](int64_t i, const auto& d, const auto& v, const auto& w) {
        Packet<T, packet> result;
        for (int k = 0; k < packet; ++k) {
          const float n = (to_float(v.values[k]) - mean) * rstd;
          put(result.values[k], rstd * (to_float(d.values[k]) * to_float(w.values[k]) - level - n * along));
        }
        store_packet(dx + first + i, result);
      },
      gradients, values, weights);
}

}  // namespace

void run(const LayerNorm& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const T* bias = op.bias.data<T>();
    T* y = op.y.data<T>();
    float* mean = op.mean ? op.mean.data<float>() : nullptr;
    float* rstd = op.rstd ? op.rstd.data<float>() : nullptr;
    by_packet<T>(
        dim,
        [&](auto packet) {
          const int64_t rows = op.x.count() / dim;
          if (dim <= 32 * packet.value) {
            const Grid grid{.blocks = blocks_for(rows, kWarpRows * kRowsAtOnce), .threads = 32 * kWarpRows};
            launch(stream, short_forward_kernel<packet.value, T>, grid, rows, static_cast<int>(dim), x, weight, bias, op.eps,
                   y, mean, rstd);
            return;
          }
          const RowTeams teams(rows, dim, packet.value);
          launch(stream, forward_kernel<packet.value, T>, teams.grid(), teams, x, weight, bias, op.eps, y, mean, rstd);
        },
        x, weight, bias, y);
  });
}

void run(const LayerNormBackward& op, CudaStream& stream) {
  const int64_t dim = op.x.shape[-1];
  if (dim == 0) return;
  const int64_t rows = op.x.count() / dim;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* x = op.x.data<T>();
    const T* weight = op.weight.data<T>();
    const float* mean = op.mean.data<float>();
    const float* rstd = op.rstd.data<float>();
    if (op.dx) {
      T* dx = op.dx.data<T>();
      by_packet<T>(
          dim,
          [&](auto packet) {
            const RowTeams teams(rows, dim, packet.value);
            launch(stream, backward_kernel<packet.value, T>, teams.grid(), teams, dy, x, weight, mean, rstd, dx);
          },
          dy, x, weight, dx);
    }
    norm_weight_gradients<T>(stream, rows, dim, dy, x, mean, rstd, op.dweight ? op.dweight.data<T>() : nullptr,
                             op.dbias ? op.dbias.data<T>() : nullptr);
  });
}

}  // namespace mglmm::cuda
