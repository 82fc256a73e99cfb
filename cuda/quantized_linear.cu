// Few rows: the weight is read as it is, and never made. A block 32 outputs, a warp every eighth group of their inputs; each
// lane adds up 4 outputs over every fourth word, so that 8 lanes read 128 neighbouring bytes. Many rows: the weight is made
// and multiplied as any other, in bf16 for x in bf16, else in f32, to which x in f16 is widened: rounded to f16 the weight
// would err by more than a gradient may.
#include "kernels/quantized_linear.h"

#include <algorithm>

#include "cuda/map.cuh"
#include "cuda/product.h"
#include "cuda/quantized.cuh"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {
namespace {

constexpr int64_t kLaunchRows = 4;
constexpr int64_t kUnmadeRows = 8;  // in two launches, which read it twice: to make it is to move it five times
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kOutputs = 32;     // of a block
constexpr int kLaneOutputs = 4;  // a packet of words

template <int Rows>
struct WarpSums {
  float values[kWarps][Rows][kOutputs];
};

// Four inputs of a row from `first` on; 0 from `in` on.
template <typename T>
__device__ __forceinline__ Packet<float, 4> four_inputs(const T* row, int64_t first, int64_t in, bool packets) {
  Packet<float, 4> values{};
  if (packets) {
    if (first >= in) return values;
    const auto loaded = load_packet<4>(row + first);
#pragma unroll
    for (int i = 0; i < 4; ++i) values.values[i] = to_float(loaded.values[i]);
  } else {
    for (int i = 0; i < 4 && first + i < in; ++i) values.values[i] = to_float(row[first + i]);
  }
  return values;
}

// `packets`: each four inputs of x are one.
template <bool four_bits, int Rows, typename T>
__global__ void __launch_bounds__(kThreads, 2)  // two blocks a multiprocessor: else nvcc spills to make room for more
    few_rows_kernel(Quantized w, const T* x, bool packets, const T* bias, T* y) {
  constexpr int kInputs = four_bits ? 8 : 4;
  constexpr int kWords = static_cast<int>(kQuantizedGroup) / kInputs;
  // Packets that a lane asks for before it needs the first. With one row they are what keeps memory busy.
  constexpr int kAhead = Rows == 1 ? kWords / 4 : 2;
  auto& sums = shared<WarpSums<Rows>>();
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t panel = blockIdx.x / (kPanel / kOutputs);
  const int64_t place = blockIdx.x % (kPanel / kOutputs) * kOutputs + lane % 8 * kLaneOutputs;  // in the panel
  const uint32_t* values = w.values + panel * w.words * kPanel + place;
  float totals[Rows][kLaneOutputs] = {};
  for (int64_t group = warp; group < w.groups; group += kWarps) {
    float products[Rows][kLaneOutputs] = {};  // before the scale
    float inputs[Rows] = {};                  // x's own sums, which the minimum is multiplied by
    const int64_t end = w.words < (group + 1) * kWords ? w.words : (group + 1) * kWords;
    for (int64_t first = group * kWords + lane / 8; first < end; first += 4 * kAhead) {
      Packet<uint32_t, kLaneOutputs> ahead[kAhead] = {};
#pragma unroll
      for (int step = 0; step < kAhead; ++step) {
        if (first + 4 * step < end) ahead[step] = load_packet<kLaneOutputs>(values + (first + 4 * step) * kPanel);
      }
#pragma unroll
      for (int step = 0; step < kAhead; ++step) {
        const int64_t word = first + 4 * step;
        if (word >= end) break;
#pragma unroll
        for (int half = 0; half < kInputs; half += 4) {
#pragma unroll
          for (int row = 0; row < Rows; ++row) {
            const auto four = four_inputs(x + row * w.in, word * kInputs + half, w.in, packets);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
              if (four_bits) inputs[row] += four.values[i];
#pragma unroll
              for (int o = 0; o < kLaneOutputs; ++o) {
                const uint32_t bits = ahead[step].values[o];
                products[row][o] += four.values[i] * (four_bits ? int4_value(bits, half + i) : int8_value(bits, half + i));
              }
            }
          }
        }
      }
    }
    const int64_t at = (panel * w.groups + group) * kPanel + place;
    const auto scales = load_packet<kLaneOutputs>(w.scales + at);
#pragma unroll
    for (int row = 0; row < Rows; ++row) {
#pragma unroll
      for (int o = 0; o < kLaneOutputs; ++o) {
        totals[row][o] += products[row][o] * to_float(scales.values[o]);
        if (four_bits) totals[row][o] += inputs[row] * to_float(w.minimums[at + o]);
      }
    }
  }
#pragma unroll
  for (int row = 0; row < Rows; ++row) {
#pragma unroll
    for (int o = 0; o < kLaneOutputs; ++o) {
      float total = totals[row][o];  // over the four lanes of these outputs
      total += __shfl_xor_sync(kAllLanes, total, 8);
      total += __shfl_xor_sync(kAllLanes, total, 16);
      if (lane < 8) sums.values[warp][row][lane * kLaneOutputs + o] = total;
    }
  }
  __syncthreads();
  const int row = warp;
  const int64_t output = static_cast<int64_t>(blockIdx.x) * kOutputs + lane;
  if (row >= Rows || output >= w.out) return;
  float total = 0;
  for (int other = 0; other < kWarps; ++other) total += sums.values[other][row][lane];
  put(y[row * w.out + output], bias == nullptr ? total : total + to_float(bias[output]));
}

template <bool four_bits, typename T>
void few_rows(CudaStream& stream, int64_t rows, const Quantized& weight, const T* x, const T* bias, T* y) {
  const bool packets = weight.in % 4 == 0 && aligned(x);
  const auto with = [&](auto count) {
    launch(stream, few_rows_kernel<four_bits, count, T>, {.blocks = blocks_for(weight.out, kOutputs), .threads = kThreads},
           weight, x, packets, bias, y);
  };
  switch (rows) {
    case 1: return with(std::integral_constant<int, 1>{});
    case 2: return with(std::integral_constant<int, 2>{});
    case 3: return with(std::integral_constant<int, 3>{});
    default: return with(std::integral_constant<int, 4>{});
  }
}

struct Same {
  __device__ float operator()(float x) const { return x; }
};

// As product() with the weight for b, of which p.b_transposed alone is said.
void product_of(CudaStream& stream, Product p, Dtype dtype, const std::byte* a, const Quantized& weight,
                const std::byte* bias, std::byte* y) {
  p.dtype = p.result = dtype == Dtype::bf16 ? Dtype::bf16 : Dtype::f32;
  std::byte* rows = stream.scratch(weight.out * weight.in * size_of(p.dtype));
  if (p.dtype == Dtype::bf16)
    dequantize_rows(stream, weight, reinterpret_cast<bf16*>(rows));
  else
    dequantize_rows(stream, weight, reinterpret_cast<float*>(rows));
  if (dtype == p.dtype) return product(stream, p, a, rows, bias, y);
  const auto widened = [&](const std::byte* from, int64_t count) {
    float* to = stream.scratch_of<float>(count);
    map(stream, count, Same{}, to, reinterpret_cast<const f16*>(from));
    return reinterpret_cast<std::byte*>(to);
  };
  float* result = stream.scratch_of<float>(p.rows * p.columns);
  product(stream, p, widened(a, p.rows * p.inner), rows, bias == nullptr ? nullptr : widened(bias, p.columns),
          reinterpret_cast<std::byte*>(result));
  map(stream, p.rows * p.columns, Same{}, reinterpret_cast<f16*>(y), result);
}

}  // namespace

void run(const QuantizedLinear& op, CudaStream& stream) {
  const int64_t rows = op.x.shape.count(0, op.x.shape.rank - 1);
  const Quantized weight({op.values, op.scales, op.minimums, op.out, op.in});
  const std::byte* bias = op.bias ? op.bias->raw() : nullptr;
  if (rows > kUnmadeRows) {
    return product_of(stream, {.rows = rows, .columns = op.out, .inner = op.in, .b_transposed = true}, op.x.dtype,
                      op.x.raw(), weight, bias, op.y.raw());
  }
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* added = reinterpret_cast<const T*>(bias);
    for (int64_t first = 0; first < rows; first += kLaunchRows) {
      const int64_t count = std::min(kLaunchRows, rows - first);
      const T* x = op.x.data<T>() + first * op.in;
      T* y = op.y.data<T>() + first * op.out;
      if (op.minimums)
        few_rows<true>(stream, count, weight, x, added, y);
      else
        few_rows<false>(stream, count, weight, x, added, y);
    }
  });
}

void run(const QuantizedLinearBackward& op, CudaStream& stream) {
  const LinearSizes s{op.dy.shape.count(0, op.dy.shape.rank - 1), op.in, op.out};
  if (op.dbias) linear_bias_gradient(stream, s, op.dy.dtype, op.dy.raw(), op.dbias.raw());
  if (!op.dx) return;
  product_of(stream, {.rows = s.rows, .columns = s.in, .inner = s.out}, op.dy.dtype, op.dy.raw(),
             Quantized({op.values, op.scales, op.minimums, op.out, op.in}), nullptr, op.dx.raw());
}

}  // namespace mglmm::cuda
