// A warp or a block a row, which is read from memory once and then from the cache. Rows of few numbers, as those of
// attention to few keys, are a thread's, and go through shared memory, so that a warp reads and writes without gaps.
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

constexpr int64_t kShortRow = 16;
constexpr int kShortRows = 256;  // of a block

// `count` numbers to or from shared memory, by the whole block, in packets and what is left over.
template <int packet, typename T>
__device__ __forceinline__ void copy_block(T* to, const T* from, int count) {
  const int whole = count / packet * packet;
  for (int i = static_cast<int>(threadIdx.x) * packet; i < whole; i += kShortRows * packet)
    store_packet(to + i, load_packet<packet>(from + i));
  for (int i = whole + static_cast<int>(threadIdx.x); i < count; i += kShortRows) to[i] = from[i];
}

__device__ __forceinline__ int short_numbers(int64_t rows, int size) {
  const int64_t left = rows - static_cast<int64_t>(blockIdx.x) * kShortRows;
  return static_cast<int>(left < kShortRows ? left : kShortRows) * size;
}

template <int packet, typename T>
__global__ void __launch_bounds__(kShortRows) short_forward_kernel(int64_t rows, int size, const T* x, T* y) {
  T* const numbers = dynamic_shared<T>();
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kShortRows * size;
  const int count = short_numbers(rows, size);
  copy_block<packet>(numbers, x + first, count);
  __syncthreads();
  T* const row = numbers + static_cast<int>(threadIdx.x) * size;
  if (static_cast<int>(threadIdx.x) * size < count) {
    float base = Larger::kNone;
    for (int i = 0; i < size; ++i) base = Larger::of(base, to_float(row[i]));
    if (base == Larger::kNone) base = 0;
    float total = 0;
    for (int i = 0; i < size; ++i) total += expf(to_float(row[i]) - base);
    const float factor = 1.0F / total;
    for (int i = 0; i < size; ++i) put(row[i], expf(to_float(row[i]) - base) * factor);
  }
  __syncthreads();
  copy_block<packet>(y + first, numbers, count);
}

template <int packet, typename T>
__global__ void __launch_bounds__(kShortRows) short_backward_kernel(int64_t rows, int size, const T* dy, const T* y, T* dx) {
  T* const upstream = dynamic_shared<T>();
  T* const numbers = upstream + kShortRows * size;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kShortRows * size;
  const int count = short_numbers(rows, size);
  copy_block<packet>(upstream, dy + first, count);
  copy_block<packet>(numbers, y + first, count);
  __syncthreads();
  const int begin = static_cast<int>(threadIdx.x) * size;
  if (begin < count) {
    float total = 0;
    for (int i = begin; i < begin + size; ++i) total += to_float(upstream[i]) * to_float(numbers[i]);
    for (int i = begin; i < begin + size; ++i) put(numbers[i], to_float(numbers[i]) * (to_float(upstream[i]) - total));
  }
  __syncthreads();
  copy_block<packet>(dx + first, numbers, count);
}

template <typename T>
Grid short_grid(int64_t rows, int64_t numbers) {
  const int64_t bytes = kShortRows * numbers * static_cast<int64_t>(sizeof(T));
  return {.blocks = blocks_for(rows, kShortRows), .threads = kShortRows, .shared_bytes = bytes};
}

// Calls `body(std::integral_constant)` with the packet that a block's rows, which lie without gaps, allow.
template <typename T, typename Body, typename... Pointers>
void by_block_packet(Body&& body, const Pointers*... pointers) {
  if (aligned(pointers...))
    body(std::integral_constant<int, kPacket<T>>{});
  else
    body(std::integral_constant<int, 1>{});
}

}  // namespace

void run(const Softmax& op, CudaStream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const int64_t rows = op.x.count() / size;
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    if (size <= kShortRow) {
      return by_block_packet<T>(
          [&](auto packet) {
            launch(stream, short_forward_kernel<packet.value, T>, short_grid<T>(rows, size), rows, size, x, y);
          },
          x, y);
    }
    const RowTeams teams(rows, size, kPacket<T>);
    launch(stream, forward_kernel<T>, teams.grid(), teams, x, y);
  });
}

void run(const SoftmaxBackward& op, CudaStream& stream) {
  const int64_t size = op.y.shape[-1];
  if (!op.dx || op.y.count() == 0) return;
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const int64_t rows = op.y.count() / size;
    const T* dy = op.dy.data<T>();
    const T* y = op.y.data<T>();
    T* dx = op.dx.data<T>();
    if (size <= kShortRow) {
      return by_block_packet<T>(
          [&](auto packet) {
            launch(stream, short_backward_kernel<packet.value, T>, short_grid<T>(rows, 2 * size), rows, size, dy, y, dx);
          },
          dy, y, dx);
    }
    const RowTeams teams(rows, size, kPacket<T>);
    launch(stream, backward_kernel<T>, teams.grid(), teams, dy, y, dx);
  });
}

}  // namespace mglmm::cuda
