#include "kernels/rope.h"

#include "cpu/parallel.h"
#include "cpu/rotation.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

void rotate(const TensorRef& x, const ConstTensor& position_ids, double base, bool tokens_first, float direction,
            const TensorRef& y, Stream& stream) {
  const int64_t heads = x.shape[tokens_first ? 2 : 1], seq = x.shape[tokens_first ? 1 : 2], dim = x.shape[3];
  if (x.count() == 0) return;
  const Rotation rotation(dim, base, stream);
  const int64_t token_stride = dim * (tokens_first ? heads : 1), head_stride = dim * (tokens_first ? 1 : seq);
  const int64_t grain = std::max<int64_t>(1, kElementGrain / (dim * heads));
  parallel_ranges(x.shape[0] * seq, grain, [&](int64_t begin, int64_t end) {
    for (int64_t token = begin; token < end; ++token) {
      const int64_t first = (token / seq * heads * seq * dim + token % seq * token_stride) * size_of(x.dtype);
      rotation.turn(rotation.at(position_ids.data<int32_t>()[token], direction), x.dtype, heads, x.raw() + first,
                    head_stride, y.raw() + first, head_stride);
    }
  });
}

}  // namespace

void run(const Rope& op, Stream& stream) { rotate(op.x, op.positionIds, op.base, op.tokensFirst, 1, op.y, stream); }

void run(const RopeBackward& op, Stream& stream) {
  if (op.dx) rotate(op.dy, op.positionIds, op.base, op.tokensFirst, -1, op.dx, stream);
}

}  // namespace mglmm::cpu
