#include "kernels/attention.h"

#include "cuda/attention_backward_tiles.cuh"
#include "cuda/attention_hopper.cuh"

namespace mglmm::cuda {
namespace {

struct Sight {
  static constexpr bool kBiased = false;
  int64_t queries, keys_of_all;
  bool causal;
  const uint8_t* mask;  // [batch, keys], or null
  bool hides_some;
  int64_t rows = 0, columns = 0;

  template <typename Op>
  explicit Sight(const Op& op)
      : queries(op.q.shape[op.tokensFirst ? 1 : 2]),
        keys_of_all(op.k.shape[op.tokensFirst ? 1 : 2]),
        causal(op.causal),
        mask(op.keyMask ? op.keyMask->template data<uint8_t>() : nullptr),
        hides_some(mask != nullptr) {}
  __device__ int64_t keys(int64_t, int64_t query) const {
    if (!causal) return keys_of_all;
    const int64_t last = query + keys_of_all - queries;
    return last < 0 ? 0 : last + 1;
  }
  __device__ int64_t first_query(int64_t key) const {
    const int64_t first = key + queries - keys_of_all;
    return causal && first > 0 ? first : 0;
  }
  __device__ bool hides(int64_t batch, int64_t key) const { return mask != nullptr && mask[batch * keys_of_all + key] == 0; }
};

template <typename T, typename Op>
AttentionInputs<T> inputs(const Op& op) {
  const HeadRows queries = head_rows(op.q.shape, op.tokensFirst);
  return {op.q.template data<T>(),
          op.k.template data<T>(),
          op.v.template data<T>(),
          queries,
          head_rows(op.k.shape, op.tokensFirst),
          queries,
          static_cast<float>(op.softmaxScale)};
}

}  // namespace

void run(const Attention& op, CudaStream& stream) {
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    const auto in = inputs<T>(op);
    const Sight sight(op);
    float* const logsumexp = op.logsumexp ? op.logsumexp.data<float>() : nullptr;
    if (attend_hopper(stream, op.q.shape[0], in, sight, op.y.data<T>(), logsumexp)) return;
    attend(stream, op.q.shape[0], in, sight, op.y.data<T>(), logsumexp);
  });
}

void run(const AttentionBackward& op, CudaStream& stream) {
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    attend_backward(stream, op.q.shape[0], inputs<T>(op), Sight(op), op.dy.data<T>(), op.y.data<T>(),
                    op.logsumexp.data<float>(), op.dq ? op.dq.data<T>() : nullptr, op.dk ? op.dk.data<T>() : nullptr,
                    op.dv ? op.dv.data<T>() : nullptr);
  });
}

}  // namespace mglmm::cuda
