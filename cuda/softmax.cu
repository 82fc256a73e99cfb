// A block a row, which is read from memory once and then from the cache.
#include "kernels/softmax.h"

#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

template <int packet, typename T>
__global__ void __launch_bounds__(512) forward_kernel(int64_t size, const T* x, T* y) {
  x += blockIdx.x * size;
  y += blockIdx.x * size;
  float largest = Larger::kNone;
  each_packet<packet>(size, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    for (int k = 0; k < packet; ++k) largest = Larger::of(largest, to_float(loaded.values[k]));
  });
  largest = block_max(largest);
  float total = 0;
  each_packet<packet>(size, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    for (int k = 0; k < packet; ++k) total += expf(to_float(loaded.values[k]) - largest);
  });
  const float factor = 1.0F / block_sum(total);
  each_packet<packet>(size, [&](int64_t i) {
    const auto loaded = load_packet<packet>(x + i);
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) put(result.values[k], expf(to_float(loaded.values[k]) - largest) * factor);
    store_packet(y + i, result);
  });
}

template <int packet, typename T>
__global__ void __launch_bounds__(512) backward_kernel(int64_t size, const T* dy, const T* y, T* dx) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * size;
  float total = 0;
  each_packet<packet>(size, [&](int64_t i) {
    const auto d = load_packet<packet>(dy + row + i);
    const auto v = load_packet<packet>(y + row + i);
    for (int k = 0; k < packet; ++k) total += to_float(d.values[k]) * to_float(v.values[k]);
  });
  total = block_sum(total);
  each_packet<packet>(size, [&](int64_t i) {
    const auto d = load_packet<packet>(dy + row + i);
    const auto v = load_packet<packet>(y + row + i);
    Packet<T, packet> result;
    for (int k = 0; k < packet; ++k) put(result.values[k], to_float(v.values[k]) * (to_float(d.values[k]) - total));
    store_packet(dx + row + i, result);
  });
}

}  // namespace

void run(const Softmax& op, CudaStream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.x.count() == 0) return;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    by_packet<T>(
        size,
        [&](auto packet) {
          launch(stream, forward_kernel<packet.value, T>, {.blocks = op.x.count() / size, .threads = threads_for_row(size)},
                 size, x, y);
        },
        x, y);
  });
}

void run(const SoftmaxBackward& op, CudaStream& stream) {
  const int64_t size = op.y.shape[-1];
  if (!op.dx || op.y.count() == 0) return;
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* y = op.y.data<T>();
    T* dx = op.dx.data<T>();
    by_packet<T>(
        size,
        [&](auto packet) {
          launch(stream, backward_kernel<packet.value, T>, {.blocks = op.y.count() / size, .threads = threads_for_row(size)},
                 size, dy, y, dx);
        },
        dy, y, dx);
  });
}

}  // namespace mglmm::cuda
