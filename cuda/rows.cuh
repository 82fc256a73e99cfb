// Rows of a matrix by index: looked at, fetched, added back, moved.
#pragma once
#include <string>

#include "cuda/number.cuh"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kRowThreads = 256;

__global__ void __launch_bounds__(kRowThreads)
    check_indices_kernel(int64_t count, const int32_t* index, int64_t limit, Refusal* refused) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (i >= count || (index[i] >= 0 && index[i] < limit)) return;
  atomicMin(refused, static_cast<Refusal>(i) << 32 | static_cast<uint32_t>(index[i]));
}

// Doubts the first of `index` that is not in [0, limit): "embedding: ids[3] is 99, expected 0 to 12". Kernels that follow
// take such an index for 0 or pass it over: there may be no row at all.
inline void doubt_indices(CudaStream& stream, const std::string& op, const std::string& name, const ConstTensor& index,
                          int64_t limit) {
  const int64_t count = index.count();
  if (count == 0) return;
  Refusal* refused = stream.question();
  launch(stream, check_indices_kernel, {.blocks = blocks_for(count, kRowThreads), .threads = kRowThreads}, count,
         index.data<int32_t>(), limit, refused);
  stream.doubt(refused, [=](int64_t place, int32_t value) {
    return Error(kArgumentError,
                 op + ": " + name + "[" + std::to_string(place) + "] is " + std::to_string(value) +
                     (limit > 0 ? ", expected 0 to " + std::to_string(limit - 1) : ", expected none: there are no rows"));
  });
}

// Rows of `words` words, each from where Source says.
template <typename Word, typename Source>
__global__ void __launch_bounds__(kRowThreads) move_rows_kernel(int64_t rows, int64_t words, Word* y, Source source) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  if (i >= rows * words) return;
  const auto* from = reinterpret_cast<const Word*>(source(i / words));
  y[i] = from == nullptr ? Word{} : from[i % words];
}

}  // namespace

// y's rows, of `row_bytes`, from others. Source: const std::byte* operator()(int64_t row) const, null for zeros; what it
// gives lies whole rows from one of `bases`. In the largest words that divide all of it.
template <typename Source, typename... Bases>
void move_rows(CudaStream& stream, int64_t rows, int64_t row_bytes, std::byte* y, Source source, const Bases*... bases) {
  const auto with = [&]<typename Word>(Type<Word>) {
    const int64_t words = row_bytes / static_cast<int64_t>(sizeof(Word));
    launch(stream, move_rows_kernel<Word, Source>, {.blocks = blocks_for(rows * words, kRowThreads), .threads = kRowThreads},
           rows, words, reinterpret_cast<Word*>(y), source);
  };
  const auto all =
      (reinterpret_cast<uintptr_t>(y) | ... | reinterpret_cast<uintptr_t>(bases)) | static_cast<uintptr_t>(row_bytes);
  if (all % 16 == 0)
    with(Type<Packet<uint32_t, 4>>{});
  else if (all % 4 == 0)
    with(Type<uint32_t>{});
  else if (all % 2 == 0)
    with(Type<uint16_t>{});
  else
    with(Type<uint8_t>{});
}

// y[i] = x[index[i]]; 0 for an index that is refused.
struct ByIndex {
  const std::byte* x;
  int64_t rows, row_bytes;
  const int32_t* index;
  __device__ const std::byte* operator()(int64_t row) const {
    const int32_t at = index[row];
    return at >= 0 && at < rows ? x + at * row_bytes : nullptr;
  }
};

inline void gather_rows(CudaStream& stream, const TensorRef& x, const ConstTensor& index, const TensorRef& y) {
  const int64_t row_bytes = x.shape[1] * size_of(x.dtype);
  move_rows(stream, index.count(), row_bytes, y.raw(), ByIndex{x.raw(), x.shape[0], row_bytes, index.data<int32_t>()},
            x.raw());
}

namespace {

struct IndexTile {
  int32_t values[kRowThreads];
};

// Places by their index, of equals the lower place first: a thread a place, which counts those that come before it.
// lengths[i] is how many have the index of order[i] where i is the first of them, else 0.
__global__ void __launch_bounds__(kRowThreads)
    order_kernel(int64_t count, const int32_t* index, int32_t* order, int32_t* lengths) {
  auto& tile = shared<IndexTile>();
  const int64_t place = static_cast<int64_t>(blockIdx.x) * kRowThreads + threadIdx.x;
  const int32_t own = place < count ? index[place] : 0;
  int32_t lower = 0, same = 0, earlier = 0;
  for (int64_t first = 0; first < count; first += kRowThreads) {
    __syncthreads();  // the last tile has been looked at
    if (first + threadIdx.x < count) tile.values[threadIdx.x] = index[first + threadIdx.x];
    __syncthreads();
    const int size = static_cast<int>(count - first < kRowThreads ? count - first : kRowThreads);
    for (int i = 0; i < size; ++i) {
      lower += tile.values[i] < own ? 1 : 0;
      same += tile.values[i] == own ? 1 : 0;
      earlier += tile.values[i] == own && first + i < place ? 1 : 0;
    }
  }
  if (place >= count) return;
  order[lower + earlier] = static_cast<int32_t>(place);
  lengths[lower + earlier] = earlier == 0 ? same : 0;
}

// A block some columns of a row: adds up its places in their order.
template <int packet, typename T>
__global__ void __launch_bounds__(kRowThreads)
    scatter_rows_kernel(int64_t rows, int64_t dim, const T* dy, const int32_t* index, const int32_t* order,
                        const int32_t* lengths, T* dx) {
  const int32_t length = lengths[blockIdx.x];
  const int32_t* places = order + blockIdx.x;
  const int64_t column = (static_cast<int64_t>(blockIdx.y) * kRowThreads + threadIdx.x) * packet;
  if (length == 0 || column >= dim) return;
  const int32_t row = index[places[0]];
  if (row < 0 || row >= rows) return;
  float sums[packet] = {};
#pragma unroll 4
  for (int32_t i = 0; i < length; ++i) {
    const auto loaded = load_packet<packet>(dy + places[i] * dim + column);
    for (int k = 0; k < packet; ++k) sums[k] += to_float(loaded.values[k]);
  }
  Packet<T, packet> result;
  for (int k = 0; k < packet; ++k) put(result.values[k], sums[k]);
  store_packet(dx + row * dim + column, result);
}

}  // namespace

// dx[row] = the sum over all i with index[i] == row of dy[i], added up in f32 in the order of i; 0 where there is none.
template <typename T>
void scatter_rows(CudaStream& stream, const T* dy, const ConstTensor& index, T* dx, int64_t rows, int64_t dim) {
  stream.clear(dx, rows * dim * static_cast<int64_t>(sizeof(T)));
  const int64_t count = index.count();
  if (dim == 0 || count == 0) return;
  int32_t* order = stream.scratch_of<int32_t>(count);
  int32_t* lengths = stream.scratch_of<int32_t>(count);
  launch(stream, order_kernel, {.blocks = blocks_for(count, kRowThreads), .threads = kRowThreads}, count,
         index.data<int32_t>(), order, lengths);
  by_packet<T>(
      dim,
      [&](auto packet) {
        launch(stream, scatter_rows_kernel<packet.value, T>,
               {.blocks = count, .threads = kRowThreads, .y = blocks_for(dim, kRowThreads * packet.value)}, rows, dim, dy,
               index.data<int32_t>(), order, lengths, dx);
      },
      dy, dx);
}

}  // namespace mglmm::cuda
