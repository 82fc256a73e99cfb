// A warp a pair of masks: the bits that both have, counted. Masks stay in the cache, where all pairs find them.
#include "kernels/mask_intersections.h"

#include "cuda/number.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

template <typename Word, int packet>
__global__ void __launch_bounds__(kThreads)
    intersections_kernel(int64_t pairs, int64_t m, int64_t words, const Word* a, const Word* b, int32_t* counts) {
  const int64_t pair = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (pair >= pairs) return;
  const Word* first = a + pair / m * words;
  const Word* second = b + pair % m * words;
  int count = 0;
  for (int64_t i = threadIdx.x % 32 * packet; i < words; i += 32 * packet) {
    const auto one = load_packet<packet>(first + i);
    const auto other = load_packet<packet>(second + i);
#pragma unroll
    for (int k = 0; k < packet; ++k) count += __popc(static_cast<uint32_t>(one.values[k] & other.values[k]));
  }
  for (int bits = 16; bits > 0; bits /= 2) count += __shfl_xor_sync(kAllLanes, count, bits);
  if (threadIdx.x % 32 == 0) counts[pair] = count;
}

}  // namespace

void run(const MaskIntersections& op, CudaStream& stream) {
  const int64_t pairs = op.counts.count();
  if (pairs == 0) return;
  const int64_t bytes = op.a.shape.count(1, op.a.shape.rank);
  const auto with = [&]<typename Word>(Type<Word>, auto packet) {
    launch(stream, intersections_kernel<Word, packet>, {.blocks = blocks_for(pairs * 32, kThreads), .threads = kThreads},
           pairs, op.b.shape[0], bytes / static_cast<int64_t>(sizeof(Word)), op.a.data<Word>(), op.b.data<Word>(),
           op.counts.data<int32_t>());
  };
  const auto all =
      reinterpret_cast<uintptr_t>(op.a.raw()) | reinterpret_cast<uintptr_t>(op.b.raw()) | static_cast<uintptr_t>(bytes);
  if (all % 16 == 0)
    with(Type<uint32_t>{}, std::integral_constant<int, 4>{});
  else if (all % 8 == 0)
    with(Type<uint32_t>{}, std::integral_constant<int, 2>{});
  else  // a part of another tensor
    with(Type<uint8_t>{}, std::integral_constant<int, 1>{});
}

}  // namespace mglmm::cuda
