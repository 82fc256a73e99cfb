// The relative position is in the kernel: of a query, what it has toward each row and each column of the map, `height +
// width` numbers in shared memory.
#include "kernels/sam_attention.h"

#include "cuda/attention_backward.cuh"
#include "cuda/attention_tiles.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

static_assert(tiles_shared_bytes<80>(64 + 64) <= kMostSharedBytes, "SAM's map, of 64 x 64, is for tensor cores");

template <typename T>
struct Sight {
  static constexpr bool kBiased = true;
  const T* by_row;     // [2 rows - 1, dim]
  const T* by_column;  // [2 columns - 1, dim]
  int64_t rows, columns, dim;
  float part_of_row;  // 1 / columns

  template <typename Op>
  Sight(const Op& op, int64_t head_dim)
      : by_row(op.relPosH.template data<T>()),
        by_column(op.relPosW.template data<T>()),
        rows(op.height),
        columns(op.width),
        dim(head_dim),
        part_of_row(1.0F / static_cast<float>(op.width)) {}
  __device__ int64_t keys(int64_t, int64_t) const { return rows * columns; }
  __device__ bool hides(int64_t, int64_t) const { return false; }
  __device__ const T* toward_row(int64_t query, int64_t row) const {
    return by_row + (query / columns - row + rows - 1) * dim;
  }
  __device__ const T* toward_column(int64_t query, int64_t column) const {
    return by_column + (query % columns - column + columns - 1) * dim;
  }
};

// A block a row of relPosH, then of relPosW: the sum over all queries of q times what it had for the place at that distance.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    position_gradient_kernel(HeadRows queries, Sight<T> sight, int64_t batch, const T* q, const float* bias_sums, T* d_row,
                             T* d_column) {
  const int64_t distances = 2 * sight.rows - 1;
  const bool along_rows = blockIdx.x < distances;
  const int64_t distance = along_rows ? blockIdx.x : blockIdx.x - distances;
  const int64_t extent = along_rows ? sight.rows : sight.columns;
  T* to = along_rows ? d_row : d_column;
  if (to == nullptr) return;
  for (int64_t i = threadIdx.x; i < queries.dim; i += kThreads) {
    float sum = 0;
    for (int64_t index = 0; index < batch * queries.heads * queries.tokens; ++index) {
      const int64_t query = index % queries.tokens;
      const int64_t place = (along_rows ? query / sight.columns : query % sight.columns) - distance + extent - 1;
      if (place < 0 || place >= extent) continue;
      const int64_t head = index / queries.tokens % queries.heads;
      const int64_t offset = queries.offset(index / queries.tokens / queries.heads, head, query);
      sum += bias_sums[index * (sight.rows + sight.columns) + (along_rows ? place : sight.rows + place)] *
             to_float(q[offset + i]);
    }
    put(to[distance * queries.dim + i], sum);
  }
}

template <typename T>
T* data_or_null(const Tensor& tensor) {
  return tensor ? tensor.data<T>() : nullptr;
}

// Where q, k, v and y lie: apart, or as parts of the output of one projection.
template <typename T, typename Op>
AttentionInputs<T> separate(const Op& op) {
  const HeadRows rows = head_rows(op.q.shape, false);
  return {op.q.template data<T>(),
          op.k.template data<T>(),
          op.v.template data<T>(),
          rows,
          rows,
          rows,
          static_cast<float>(op.softmaxScale)};
}
template <typename T, typename Op>
AttentionInputs<T> packed(const Op& op) {
  const int64_t tokens = op.qkv.shape[1];
  const int64_t part = op.qkv.shape[2] / 3;
  const int64_t dim = part / op.heads;
  const HeadRows rows{op.heads, tokens, dim, tokens * 3 * part, dim, 3 * part};
  const HeadRows results{op.heads, tokens, dim, tokens * part, dim, part};
  const T* q = op.qkv.template data<T>();
  return {q, q + part, q + 2 * part, rows, rows, results, static_cast<float>(op.softmaxScale)};
}

template <typename T, typename Op>
void backward(CudaStream& stream, const Op& op, int64_t batch, const AttentionInputs<T>& in, T* dq, T* dk, T* dv) {
  const Sight<T> sight(op, in.queries.dim);
  const bool positions = op.drelPosH || op.drelPosW;
  const int64_t count = batch * in.queries.heads * in.queries.tokens * (sight.rows + sight.columns);
  float* bias_sums = positions ? stream.scratch_of<float>(count) : nullptr;
  attend_backward_by_warps(stream, batch, in, sight, op.dy.template data<T>(), op.y.template data<T>(),
                           op.logsumexp.template data<float>(), dq, dk, dv, bias_sums);
  if (!positions) return;
  launch(stream, position_gradient_kernel<T>, {.blocks = 2 * sight.rows - 1 + 2 * sight.columns - 1, .threads = kThreads},
         in.queries, sight, batch, in.q, bias_sums, data_or_null<T>(op.drelPosH), data_or_null<T>(op.drelPosW));
}

}  // namespace

void run(const SamAttention& op, CudaStream& stream) {
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    attend(stream, op.q.shape[0], separate<T>(op), Sight<T>(op, op.q.shape[3]), op.y.data<T>(),
           op.logsumexp ? op.logsumexp.data<float>() : nullptr);
  });
}

void run(const SamAttentionBackward& op, CudaStream& stream) {
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    backward<T>(stream, op, op.q.shape[0], separate<T>(op), data_or_null<T>(op.dq), data_or_null<T>(op.dk),
                data_or_null<T>(op.dv));
  });
}

void run(const SamAttentionPacked& op, CudaStream& stream) {
  by_dtype(op.qkv.dtype, [&]<typename T>(Type<T>) {
    const auto in = packed<T>(op);
    attend(stream, op.qkv.shape[0], in, Sight<T>(op, in.queries.dim), op.y.data<T>(),
           op.logsumexp ? op.logsumexp.data<float>() : nullptr);
  });
}

void run(const SamAttentionPackedBackward& op, CudaStream& stream) {
  by_dtype(op.qkv.dtype, [&]<typename T>(Type<T>) {
    T* dq = data_or_null<T>(op.dqkv);
    const int64_t part = op.qkv.shape[2] / 3;
    backward<T>(stream, op, op.qkv.shape[0], packed<T>(op), dq, dq == nullptr ? nullptr : dq + part,
                dq == nullptr ? nullptr : dq + 2 * part);
  });
}

}  // namespace mglmm::cuda
