// The relative position is in the kernel: of a query, what it has toward each row and each column of the map, `height +
// width` numbers in shared memory.
#include "kernels/sam_attention.h"

#include "cuda/attention_backward.cuh"
#include "cuda/attention_tiles.cuh"
#include "cuda/map.cuh"
#include "kernels/window_partition.h"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

static_assert(tiles_shared_bytes<80>(in_all_banks(64 + 64)) <= kMostSharedBytes,
              "SAM's map, of 64 x 64, is for tensor cores");

template <typename T>
struct Sight {
  static constexpr bool kBiased = true;
  static constexpr bool hides_some = false;
  const T* by_row;     // [2 rows - 1, dim]
  const T* by_column;  // [2 columns - 1, dim]
  int64_t rows, columns, dim;
  float part_of_row;  // 1 / columns

  template <typename Op>
  Sight(const Op& op, int64_t head_dim) : Sight(op, head_dim, op.height, op.width) {}
  template <typename Op>
  Sight(const Op& op, int64_t head_dim, int64_t height, int64_t width)
      : by_row(op.relPosH.template data<T>()),
        by_column(op.relPosW.template data<T>()),
        rows(height),
        columns(width),
        dim(head_dim),
        part_of_row(1.0F / static_cast<float>(width)) {}
  __device__ int64_t keys(int64_t, int64_t) const { return rows * columns; }
  __device__ bool hides(int64_t, int64_t) const { return false; }
  __device__ const T* toward_row(int64_t query, int64_t row) const {
    return by_row + (query / columns - row + rows - 1) * dim;
  }
  __device__ const T* toward_column(int64_t query, int64_t column) const {
    return by_column + (query % columns - column + columns - 1) * dim;
  }
};

// Square windows of maps, cut as kernels/window_partition.h does: each is a `batch` of `tokens`, and lies in its map.
struct WindowRows : HeadRows {
  static constexpr bool kWindows = true;
  int height, width;       // of a map
  int side, across, down;  // of a window; how many a map has
  struct Window {
    int map, top, left;
    int rows, columns;  // that the map has
  };
  __device__ Window window(int64_t batch) const {
    const auto index = static_cast<int>(batch);
    const int top = index / across % down * side;
    const int left = index % across * side;
    return {index / (down * across), top, left, height - top < side ? height - top : side,
            width - left < side ? width - left : side};
  }
};
// Of queries and results: the tokens that the map has.
struct WindowQueries : WindowRows {
  __device__ int64_t count(int64_t batch) const { return window(batch).rows * window(batch).columns; }
  __device__ int64_t token(int64_t batch, int64_t row) const {
    const int columns = window(batch).columns;
    return static_cast<int>(row) / columns * side + static_cast<int>(row) % columns;
  }
  __device__ int64_t offset(const Window& in, int64_t head, int64_t row) const {
    const int y = in.top + static_cast<int>(row) / in.columns;
    const int x = in.left + static_cast<int>(row) % in.columns;
    return HeadRows::offset(in.map, head, static_cast<int64_t>(y) * width + x);
  }
  __device__ int64_t offset(int64_t batch, int64_t head, int64_t row) const { return offset(window(batch), head, row); }
};
// Of keys and values: all tokens, of which those beyond the map have one row.
struct WindowKeys : WindowRows {
  int64_t padding;     // that row, from the first number of the tensor
  float part_of_side;  // 1 / side
  bool in_packets() const { return HeadRows::in_packets() && padding % 8 == 0; }
  __device__ int64_t offset(const Window& in, int64_t head, int64_t token) const {
    const auto y = static_cast<int>((static_cast<float>(static_cast<int>(token)) + 0.5F) * part_of_side);
    const int x = static_cast<int>(token) - y * side;
    if (y >= in.rows || x >= in.columns) return padding + head * head_stride;
    return HeadRows::offset(in.map, head, static_cast<int64_t>(in.top + y) * width + in.left + x);
  }
};

struct Infinity {
  __device__ float operator()() const { return -Larger::kNone; }
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

template <typename T>
void attend_windows(CudaStream& stream, const SamAttentionPacked& op, float* logsumexp) {
  const AttentionInputs<T> whole = packed<T>(op);
  const auto side = static_cast<int>(op.window);
  const auto across = static_cast<int>(windows_along(op.width, side));
  const auto down = static_cast<int>(windows_along(op.height, side));
  const auto cut = [&](HeadRows rows) {
    rows.tokens = op.window * op.window;
    return WindowRows{rows, static_cast<int>(op.height), static_cast<int>(op.width), side, across, down};
  };
  const std::byte* padding = op.padding ? op.padding->raw() : nullptr;
  if (padding == nullptr) {
    const int64_t bytes = op.qkv.shape[2] * size_of(op.qkv.dtype);
    std::byte* zeros = stream.scratch(bytes);
    stream.clear(zeros, bytes);
    padding = zeros;
  }
  // As addresses: the two are not of one tensor.
  const auto apart = reinterpret_cast<intptr_t>(padding) - reinterpret_cast<intptr_t>(op.qkv.raw());
  const AttentionInputs<T, WindowKeys, WindowQueries> in{
      whole.q,
      whole.k,
      whole.v,
      {cut(whole.queries)},
      {cut(whole.keys), apart / static_cast<intptr_t>(sizeof(T)), 1.0F / static_cast<float>(side)},
      {cut(whole.results)},
      whole.scale};
  if (logsumexp != nullptr) map(stream, op.logsumexp.count(), Infinity{}, logsumexp);
  attend(stream, op.qkv.shape[0] * down * across, in, Sight<T>(op, whole.queries.dim, side, side), op.y.data<T>(),
         logsumexp);
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
    float* const logsumexp = op.logsumexp ? op.logsumexp.data<float>() : nullptr;
    if (op.window > 0) return attend_windows<T>(stream, op, logsumexp);
    const auto in = packed<T>(op);
    attend(stream, op.qkv.shape[0], in, Sight<T>(op, in.queries.dim), op.y.data<T>(), logsumexp);
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
