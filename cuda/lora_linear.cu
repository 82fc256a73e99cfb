#include "kernels/lora_linear.h"

#include <algorithm>
#include <vector>

#include "cuda/map.cuh"
#include "cuda/product.h"
#include "cuda/row.cuh"

namespace mglmm::cuda {
namespace {

struct Scaled {
  float scaling;
  __device__ float operator()(float x) const { return x * scaling; }
};
struct Corrected {
  float scaling;
  __device__ float operator()(float weight, float correction) const { return weight + correction * scaling; }
};

template <typename Op>
LinearSizes sizes_of(const Op& op) {
  return {op.x.shape.count(0, op.x.shape.rank - 1), op.weight.shape[1], op.weight.shape[0]};
}

// scaling a b, summed and scaled in f32, rounded once to the dtype of the product.
std::byte* scaled_product(CudaStream& stream, Product p, const std::byte* a, const std::byte* b, float scaling) {
  const int64_t count = p.rows * p.columns;
  p.result = Dtype::f32;
  float* sums = stream.scratch_of<float>(count);
  product(stream, p, a, b, nullptr, reinterpret_cast<std::byte*>(sums));
  std::byte* y = stream.scratch(count * size_of(p.dtype));
  by_dtype(p.dtype, [&]<typename T>(Type<T>) { map(stream, count, Scaled{scaling}, reinterpret_cast<T*>(y), sums); });
  return y;
}

// scaling x loraA^T  [rows, rank]
std::byte* lowered(CudaStream& stream, const LinearSizes& s, const ConstTensor& x, const ConstTensor& lora_a,
                   float scaling) {
  const Product p{.rows = s.rows, .columns = lora_a.shape[0], .inner = s.in, .b_transposed = true, .dtype = x.dtype};
  return scaled_product(stream, p, x.raw(), lora_a.raw(), scaling);
}

constexpr int kOutputThreads = 256;

// A correction, of as many rows as a launch says; none where rank is 0.
template <typename T>
struct RowLora {
  const T* a;
  const T* b;
  int64_t rank;
  float scaling;
};
// Those of one launch, as a parameter of it.
template <typename T>
struct RowLoras {
  static constexpr int kMost = 64;
  RowLora<T> of[kMost];
};

template <typename T>
RowLora<T> row_lora(const ConstTensor& a, const ConstTensor& b, double scaling) {
  return {a.data<T>(), b.data<T>(), a.shape[0], static_cast<float>(scaling)};
}

// low [row, r] = scaling (x a^T), a block each.
template <int packet, typename T>
__global__ void __launch_bounds__(512) lower_kernel(int64_t ranks, int64_t in, int64_t rows_each, const T* x,
                                                    const __grid_constant__ RowLoras<T> loras, T* low) {
  const int64_t row = blockIdx.x / ranks, r = blockIdx.x % ranks;
  const RowLora<T>& lora = loras.of[row / rows_each];
  if (r >= lora.rank) return;
  float sum = 0;
  each_packet<packet>(in, [&](int64_t i) {
    const auto left = load_packet<packet>(x + row * in + i), right = load_packet<packet>(lora.a + r * in + i);
    for (int k = 0; k < packet; ++k) sum += to_float(left.values[k]) * to_float(right.values[k]);
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) put(low[row * ranks + r], sum * lora.scaling);
}

// y = layer + low b^T, a thread each. y may be layer.
template <typename T>
__global__ void __launch_bounds__(kOutputThreads)
    raise_kernel(int64_t ranks, int64_t out, int64_t rows_each, int64_t row_blocks, const T* low,
                 const __grid_constant__ RowLoras<T> loras, const T* layer, T* y) {
  const int64_t row = blockIdx.x / row_blocks;
  const int64_t column = blockIdx.x % row_blocks * kOutputThreads + threadIdx.x;
  if (column >= out) return;
  const RowLora<T>& lora = loras.of[row / rows_each];
  const int64_t at = row * out + column;
  if (lora.rank == 0) {
    y[at] = layer[at];
    return;
  }
  const T* b = lora.b + column * lora.rank;
  const T* factors = low + row * ranks;
  float sum = 0;
  int64_t r = 0;
  if ((reinterpret_cast<uintptr_t>(lora.b) | static_cast<uintptr_t>(lora.rank) * sizeof(T)) % 16 == 0) {
    for (; r < lora.rank; r += kPacket<T>) {
      const auto packet = load_packet<kPacket<T>>(b + r);
      for (int k = 0; k < kPacket<T>; ++k) sum += to_float(factors[r + k]) * to_float(packet.values[k]);
    }
  }
  for (; r < lora.rank; ++r) sum += to_float(factors[r]) * to_float(b[r]);
  put(y[at], to_float(layer[at]) + sum);
}

// y = layer + the correction of each row; each of `loras` is that of `rows_each` rows.
template <typename T>
void correct_rows(CudaStream& stream, int64_t rows_each, int64_t in, int64_t out, const T* x,
                  const std::vector<RowLora<T>>& loras, const T* layer, T* y) {
  const int64_t row_blocks = blocks_for(out, kOutputThreads);
  for (size_t first = 0; first < loras.size(); first += RowLoras<T>::kMost) {
    const ScratchScope scope(stream);
    const size_t count = std::min<size_t>(loras.size() - first, RowLoras<T>::kMost);
    const int64_t rows = static_cast<int64_t>(count) * rows_each, begin = static_cast<int64_t>(first) * rows_each;
    RowLoras<T> table{};
    int64_t ranks = 0;
    bool in_packets = in % kPacket<T> == 0 && aligned(x);
    for (size_t i = 0; i < count; ++i) {
      table.of[i] = loras[first + i];
      ranks = std::max(ranks, table.of[i].rank);
      in_packets = in_packets && aligned(table.of[i].a);
    }
    T* low = stream.scratch_of<T>(rows * ranks);
    launch(stream, in_packets ? lower_kernel<kPacket<T>, T> : lower_kernel<1, T>,
           {.blocks = rows * ranks, .threads = threads_for_row(in)}, ranks, in, rows_each, x + begin * in, table, low);
    launch(stream, raise_kernel<T>, {.blocks = rows * row_blocks, .threads = kOutputThreads}, ranks, out, rows_each,
           row_blocks, low, table, layer + begin * out, y + begin * out);
  }
}

}  // namespace

void run(const LoraLinear& op, CudaStream& stream) {
  const LinearSizes s = sizes_of(op);
  Product p{
      .rows = s.rows, .columns = s.out, .inner = s.in, .b_transposed = true, .dtype = op.x.dtype, .result = op.x.dtype};
  product(stream, p, op.x.raw(), op.weight.raw(), op.bias ? op.bias->raw() : nullptr, op.y.raw());
  const ConstTensor& x = op.xDropped ? *op.xDropped : op.x;
  if (s.rows <= kFewRows) {  // one by one, each in the same way whatever rows are beside it
    by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
      const std::vector<RowLora<T>> loras{row_lora<T>(op.loraA, op.loraB, op.scaling)};
      correct_rows<T>(stream, s.rows, s.in, s.out, x.data<T>(), loras, op.y.data<T>(), op.y.data<T>());
    });
    return;
  }
  const std::byte* low = lowered(stream, s, x, op.loraA, op.scaling);
  p.inner = op.loraA.shape[0];
  p.addend = op.y.raw();
  product(stream, p, low, op.loraB.raw(), nullptr, op.y.raw());
}

void run(const LoraLinearBackward& op, CudaStream& stream) {
  const LinearSizes s = sizes_of(op);
  const Dtype dtype = op.x.dtype;
  const int64_t rank = op.loraA.shape[0];
  const ConstTensor& x = op.xDropped ? *op.xDropped : op.x;
  const bool through_x = op.dx && !op.xDropped;
  if (op.dx) linear_input_gradient(stream, s, dtype, op.dy.raw(), op.weight.raw(), op.dx.raw());
  if (op.dweight) linear_weight_gradient(stream, s, dtype, op.dy.raw(), op.x.raw(), op.dweight.raw());
  if (op.dbias) linear_bias_gradient(stream, s, dtype, op.dy.raw(), op.dbias.raw());
  if (op.dloraA || op.dxDropped || through_x) {
    const Product to_rank{.rows = s.rows, .columns = rank, .inner = s.out, .dtype = dtype};
    const std::byte* dlow = scaled_product(stream, to_rank, op.dy.raw(), op.loraB.raw(), op.scaling);
    if (op.dloraA) linear_weight_gradient(stream, {s.rows, s.in, rank}, dtype, dlow, x.raw(), op.dloraA.raw());
    Product to_in{.rows = s.rows, .columns = s.in, .inner = rank, .dtype = dtype, .result = dtype};
    if (op.dxDropped) product(stream, to_in, dlow, op.loraA.raw(), nullptr, op.dxDropped.raw());
    if (through_x) {
      to_in.addend = op.dx.raw();
      product(stream, to_in, dlow, op.loraA.raw(), nullptr, op.dx.raw());
    }
  }
  if (op.dloraB) {
    const std::byte* low = lowered(stream, s, x, op.loraA, op.scaling);
    linear_weight_gradient(stream, {s.rows, rank, s.out}, dtype, op.dy.raw(), low, op.dloraB.raw());
  }
}

void run(const AddLoraByRow& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int64_t rows_each = op.x.shape.count(1, op.x.shape.rank - 1);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    std::vector<RowLora<T>> loras;
    for (const int64_t adapter : op.adapters)
      loras.push_back(adapter < 0 ? RowLora<T>{} : row_lora<T>(op.loraA[adapter], op.loraB[adapter], op.scalings[adapter]));
    correct_rows<T>(stream, rows_each, op.x.shape[-1], op.y.shape[-1], op.x.data<T>(), loras, op.layer.data<T>(),
                    op.y.data<T>());
  });
}

void run(const MergeLora& op, CudaStream& stream) {
  const int64_t out = op.weight.shape[0];
  const int64_t in = op.weight.shape[1];
  float* correction = stream.scratch_of<float>(out * in);
  product(stream, {.rows = out, .columns = in, .inner = op.loraA.shape[0], .dtype = op.weight.dtype}, op.loraB.raw(),
          op.loraA.raw(), nullptr, reinterpret_cast<std::byte*>(correction));
  by_dtype(op.weight.dtype, [&]<typename T>(Type<T>) {
    map(stream, out * in, Corrected{op.scaling}, op.merged.data<T>(), op.weight.data<T>(), correction);
  });
}

}  // namespace mglmm::cuda
