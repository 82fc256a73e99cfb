#include "kernels/cast.h"

#include "cuda/map.cuh"

namespace mglmm::cuda {
namespace {

// Integers pass through f32, as the contract says.
__device__ __forceinline__ float to_float(int32_t value) { return static_cast<float>(value); }
__device__ __forceinline__ float to_float(uint8_t value) { return static_cast<float>(value); }
__device__ __forceinline__ void put(int32_t& to, float value) {
  // 2147483520 is the largest f32 below 2^31. Of a NaN no comparison holds.
  to = value >= 2147483648.0F    ? INT32_MAX
       : value >= -2147483648.0F ? static_cast<int32_t>(value)
       : value < 0.0F            ? INT32_MIN
                                 : 0;
}
__device__ __forceinline__ void put(uint8_t& to, float value) {
  to = value >= 255.0F ? uint8_t{255} : value > 0.0F ? static_cast<uint8_t>(value) : uint8_t{0};
}
using cuda::put;
using cuda::to_float;

constexpr int kThreads = 256;

template <int packet, typename To, typename From>
__global__ void __launch_bounds__(kThreads) cast_kernel(int64_t count, To* y, const From* x) {
  const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * packet;
  if (begin + packet <= count) {
    const auto loaded = load_packet<packet>(x + begin);
    Packet<To, packet> result;
    for (int i = 0; i < packet; ++i) put(result.values[i], to_float(loaded.values[i]));
    store_packet(y + begin, result);
  } else {
    for (int64_t i = begin; i < count; ++i) put(y[i], to_float(x[i]));
  }
}

template <typename Body>
void by_any_dtype(Dtype dtype, Body&& body) {
  switch (dtype) {
    case Dtype::i32: return body(Type<int32_t>{});
    case Dtype::u8: return body(Type<uint8_t>{});
    default: return by_dtype(dtype, body);
  }
}

}  // namespace

void run(const Cast& op, CudaStream& stream) {
  const int64_t count = op.y.count();
  if (op.x.dtype == op.dtype) return stream.copy(op.y.raw(), op.x.raw(), op.y.bytes());
  by_any_dtype(op.x.dtype, [&]<typename From>(Type<From>) {
    by_any_dtype(op.dtype, [&]<typename To>(Type<To>) {
      const From* x = op.x.data<From>();
      To* y = op.y.data<To>();
      if (aligned(x, y))
        launch(stream, cast_kernel<4, To, From>, {.blocks = blocks_for(count, 4 * kThreads), .threads = kThreads}, count, y,
               x);
      else
        launch(stream, cast_kernel<1, To, From>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, count, y, x);
    });
  });
}

}  // namespace mglmm::cuda
