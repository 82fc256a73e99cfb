// Cosines and sines once for all heads, then the rotation, four pairs to a thread where a head's halves are of packets.
#include "kernels/rope.h"

#include "cuda/rotation.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Sizes {
  int64_t batch, heads, seq, half;
  bool tokens_first;
};

// [tokens, half] each.
__global__ void __launch_bounds__(kThreads) angles_kernel(int64_t count, int64_t half, const int32_t* positions, float base,
                                                          float direction, float* cosines, float* sines) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const Angle angle = angle_at(positions[i / half], i % half, half, base);
  cosines[i] = angle.cos;
  sines[i] = angle.sin * direction;
}

// `packet` pairs to a thread.
template <int packet, typename T>
__global__ void __launch_bounds__(kThreads)
    rotate_kernel(Sizes sizes, const float* cosines, const float* sines, const T* x, T* y) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t packets = sizes.half / packet;
  if (index >= sizes.batch * sizes.heads * sizes.seq * packets) return;
  const int64_t i = index % packets * packet;
  const int64_t row = index / packets;  // of headDim numbers, as they lie
  const int64_t image = row / (sizes.heads * sizes.seq);
  const int64_t within = sizes.tokens_first ? row / sizes.heads % sizes.seq : row % sizes.seq;
  const int64_t angle = (image * sizes.seq + within) * sizes.half + i;
  const int64_t low = row * 2 * sizes.half + i;
  const int64_t high = low + sizes.half;
  const auto cosine = load_packet<packet>(cosines + angle), sine = load_packet<packet>(sines + angle);
  const auto lower = load_packet<packet>(x + low), upper = load_packet<packet>(x + high);
  Packet<T, packet> first, second;
#pragma unroll
  for (int k = 0; k < packet; ++k) {
    const Pair pair = turned({cosine.values[k], sine.values[k]}, {to_float(lower.values[k]), to_float(upper.values[k])});
    put(first.values[k], pair.low);
    put(second.values[k], pair.high);
  }
  store_packet(y + low, first);
  store_packet(y + high, second);
}

void rotate(CudaStream& stream, const TensorRef& x, const ConstTensor& position_ids, double base, bool tokens_first,
            float direction, const TensorRef& y) {
  const Sizes sizes{x.shape[0], x.shape[tokens_first ? 2 : 1], x.shape[tokens_first ? 1 : 2], x.shape[3] / 2, tokens_first};
  const int64_t angles = sizes.batch * sizes.seq * sizes.half;
  const int64_t count = angles * sizes.heads;
  if (count == 0) return;
  float* cosines = stream.scratch_of<float>(2 * angles);
  float* sines = cosines + angles;
  launch(stream, angles_kernel, {.blocks = blocks_for(angles, kThreads), .threads = kThreads}, angles, sizes.half,
         position_ids.data<int32_t>(), static_cast<float>(base), direction, cosines, sines);
  by_dtype(x.dtype, [&]<typename T>(Type<T>) {
    const T* from = reinterpret_cast<const T*>(x.raw());
    T* to = reinterpret_cast<T*>(y.raw());
    if (sizes.half % 4 == 0 && aligned(from, to))
      launch(stream, rotate_kernel<4, T>, {.blocks = blocks_for(count / 4, kThreads), .threads = kThreads}, sizes, cosines,
             sines, from, to);
    else
      launch(stream, rotate_kernel<1, T>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, sizes, cosines,
             sines, from, to);
  });
}

}  // namespace

void run(const Rope& op, CudaStream& stream) { rotate(stream, op.x, op.positionIds, op.base, op.tokensFirst, 1, op.y); }

void run(const RopeBackward& op, CudaStream& stream) {
  if (op.dx) rotate(stream, op.dy, op.positionIds, op.base, op.tokensFirst, -1, op.dx);
}

}  // namespace mglmm::cuda
