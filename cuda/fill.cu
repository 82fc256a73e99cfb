#include "kernels/fill.h"

#include <bit>

#include "cuda/number.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

uint32_t bits_of(Dtype dtype, double value) {
  switch (dtype) {
    case Dtype::bf16: return bf16(static_cast<float>(value)).bits;
    case Dtype::f16: return f16(static_cast<float>(value)).bits;
    case Dtype::f32: return std::bit_cast<uint32_t>(static_cast<float>(value));
    default: return static_cast<uint32_t>(static_cast<int64_t>(value));
  }
}

// Memory of a tensor made by an op begins at a multiple of 16 bytes.
template <typename T>
__global__ void __launch_bounds__(kThreads) fill_kernel(int64_t count, T bits, T* y) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kPacket<T>;
  if (begin + kPacket<T> <= count) {
    Packet<T, kPacket<T>> packet;
    for (T& value : packet.values) value = bits;
    store_packet(y + begin, packet);
  } else {
    for (int64_t i = begin; i < count; ++i) y[i] = bits;
  }
}

}  // namespace

void run(const Fill& op, CudaStream& stream) {
  const uint32_t bits = bits_of(op.dtype, op.value);
  if (bits == 0) return stream.clear(op.y.raw(), op.y.bytes());
  by_width(op.dtype, [&]<typename T>(Type<T>) {
    const int64_t count = op.y.count();
    launch(stream, fill_kernel<T>, {.blocks = blocks_for(count, kThreads * kPacket<T>), .threads = kThreads}, count,
           static_cast<T>(bits), op.y.data<T>());
  });
}

}  // namespace mglmm::cuda
