// Convolutions whose stride is their kernel are products, with weights as they are stored: [in, out, 2, 2] is a matrix
// [in, 4 out]. A piece of the tokens at a time, so that what lies between x and y stays near. Behind the first product,
// numbers of 16 bits in SAM's sizes stay in the registers of a warp until they are masks (pixels_kernel); for others a warp
// takes a token, or a pixel, its lanes the channels, and the second product lies between.
#include "kernels/upscale_masks.h"

#include <algorithm>

#include "cuda/activation.cuh"
#include "cuda/product.h"
#include "cuda/reduce.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPlaces = 4;  // of the 2 x 2 pixels that a pixel becomes: (u, v) is 2 u + v
constexpr int64_t kPiece = 16384;
constexpr int64_t kFusedPiece = 32768;
// Of pixels_kernel: the size of the norm, and blocks that a multiprocessor has at once.
constexpr int kMid = 64;
constexpr int kBlocks = 3;

struct Sizes {
  int64_t tokens, width;  // of a mask
  int64_t mid, channels, outputs;
};

// The warp's own number; its lanes come in together.
__device__ __forceinline__ int64_t warp_index() { return (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32; }
__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x) % 32; }
Grid grid_of_warps(int64_t warps) { return {.blocks = blocks_for(warps * 32, kThreads), .threads = kThreads}; }

// A warp a token: first [token, mid, place] plus bias, normed over mid, through GELU to pixels [token, place, mid].
template <typename T>
__global__ void __launch_bounds__(kThreads) normalise_kernel(int64_t tokens, int64_t mid, const float* first, const T* bias,
                                                             const T* weight, const T* shift, float eps, T* pixels) {
  const int64_t token = warp_index();
  if (token >= tokens) return;
  const auto values_of = [&](int64_t m) {
    auto values = load_packet<kPlaces>(first + (token * mid + m) * kPlaces);
    for (float& value : values.values) value += to_float(bias[m]);
    return values;
  };
  const auto size = static_cast<float>(mid);
  float means[kPlaces] = {}, rstds[kPlaces] = {};
  for (int64_t m = lane_index(); m < mid; m += 32) {
    const auto values = values_of(m);
    for (int place = 0; place < kPlaces; ++place) means[place] += values.values[place];
  }
  for (float& mean : means) mean = reduce_warp<Plus>(mean) / size;
  for (int64_t m = lane_index(); m < mid; m += 32) {
    const auto values = values_of(m);
    for (int place = 0; place < kPlaces; ++place) {
      const float centred = values.values[place] - means[place];
      rstds[place] += centred * centred;
    }
  }
  for (float& rstd : rstds) rstd = 1.0F / sqrtf(reduce_warp<Plus>(rstd) / size + eps);
  for (int64_t m = lane_index(); m < mid; m += 32) {
    const auto values = values_of(m);
    for (int place = 0; place < kPlaces; ++place) {
      const float normed = (values.values[place] - means[place]) * rstds[place] * to_float(weight[m]) + to_float(shift[m]);
      put(pixels[(token * kPlaces + place) * mid + m], gelu(normed));
    }
  }
}

// A warp a pixel between the convolutions: second [pixel, channels, place] plus bias through GELU, which stays there, then
// by `hyper` to 2 x 2 pixels of each mask.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    weigh_kernel(Sizes s, int64_t first_token, int64_t pixels, float* second, const T* bias, const T* hyper, T* y) {
  const int64_t pixel = warp_index();
  if (pixel >= pixels) return;
  float* channels = second + pixel * s.channels * kPlaces;
  for (int64_t c = lane_index(); c < s.channels; c += 32) {
    auto values = load_packet<kPlaces>(channels + c * kPlaces);
    for (float& value : values.values) value = gelu(value + to_float(bias[c]));
    store_packet(channels + c * kPlaces, values);
  }
  const int64_t token = first_token + pixel / kPlaces;
  const int64_t mask = token / s.tokens;
  // In its mask, of the first of the 2 x 2.
  const int64_t row = token % s.tokens / s.width * 4 + pixel % kPlaces / 2 * 2;
  const int64_t column = token % s.tokens % s.width * 4 + pixel % 2 * 2;
  for (int64_t output = 0; output < s.outputs; ++output) {
    const int64_t line = mask * s.outputs + output;
    float sums[kPlaces] = {};
    for (int64_t c = lane_index(); c < s.channels; c += 32) {
      const auto values = load_packet<kPlaces>(channels + c * kPlaces);
      const float by = to_float(hyper[line * s.channels + c]);
      for (int place = 0; place < kPlaces; ++place) sums[place] += values.values[place] * by;
    }
    T* to = y + line * s.tokens * 16 + row * 4 * s.width + column;
    for (int place = 0; place < kPlaces; ++place) {
      const float sum = reduce_warp<Plus>(sums[place]);
      if (lane_index() == place) put(to[place / 2 * 4 * s.width + place % 2], sum);
    }
  }
}

// gelu(x) = max(x, 0) - |x| P(X > |x|), the probability to 1e-7 (Abramowitz and Stegun 7.1.26): a third of erfcf's work.
__device__ __forceinline__ float near_gelu(float x) {
  constexpr float kHalfLog2E = 0.7213475204F;
  const float t = reciprocal(fmaf(fabsf(x), 0.3275911F * 0.707106781F, 1.0F));
  float tail = fmaf(t, 0.5307027145F, -0.7265760135F);
  tail = fmaf(t, tail, 0.7107068705F);
  tail = fmaf(t, tail, -0.142248368F);
  tail = fmaf(t, tail, 0.127414796F);
  tail *= t * power_of_2(x * x * -kHalfLog2E);
  return fmaf(-fabsf(x), tail, fmaxf(x, 0.0F));
}

template <typename T>
struct PixelWeights {
  const T *bias1, *weight, *shift;  // [kMid]
  const T* weight2;                 // [kMid, channels * places]
  const T* bias2;                   // [channels]
  const T* hyper;                   // [masks, outputs, channels]
};

__host__ __device__ constexpr int64_t weight2_stride(int64_t channels) { return channels * kPlaces + 8; }
template <typename T>
int64_t pixels_shared_bytes(int64_t channels) {
  return kMid * weight2_stride(channels) * static_cast<int64_t>(sizeof(T)) +
         (3 * kMid + channels) * static_cast<int64_t>(sizeof(float));
}

// A warp the 16 pixels between the convolutions of four tokens, on tensor cores: first [token, kMid, place] plus bias,
// normed, through GELU, times weight2, plus bias, through GELU, by `hyper` to 2 x 2 pixels of each mask. Lane 4 g + t has
// pixels g and g + 8, and of a product's columns 2 t and 2 t + 1, which are two neighbours of channel t / 2.
template <int outputs, typename T>
__global__ void __launch_bounds__(kThreads, kBlocks)
    pixels_kernel(Sizes s, int64_t first_token, int count, float eps, const float* first, PixelWeights<T> weights, T* y) {
  constexpr int kSteps = kMid / 16;
  const auto channels = static_cast<int>(s.channels);
  const int columns = channels * kPlaces;
  const auto stride = static_cast<int>(weight2_stride(channels));
  T* const weight2 = dynamic_shared<T>();
  float* const bias1 = reinterpret_cast<float*>(weight2 + kMid * stride);
  float* const weight = bias1 + kMid;
  float* const shift = weight + kMid;
  float* const bias2 = shift + kMid;
  const auto thread = static_cast<int>(threadIdx.x);
  for (int i = thread * 8; i < kMid * columns; i += kThreads * 8)
    store_packet(weight2 + i / columns * stride + i % columns, load_packet<8>(weights.weight2 + i));
  for (int i = thread; i < kMid; i += kThreads) {
    bias1[i] = to_float(weights.bias1[i]);
    weight[i] = to_float(weights.weight[i]);
    shift[i] = to_float(weights.shift[i]);
  }
  for (int i = thread; i < channels; i += kThreads) bias2[i] = to_float(weights.bias2[i]);
  __syncthreads();

  const int lane = lane_index();
  const int t = lane % 4;
  const int outer = lane / 4 % kPlaces;  // which of its token's pixels both of the lane are
  const auto tokens = static_cast<uint32_t>(s.tokens), width = static_cast<uint32_t>(s.width);
  const int step = static_cast<int>(gridDim.x) * (kThreads / 32) * 4;
  for (int begin = static_cast<int>(warp_index()) * 4; begin < count; begin += step) {
    // Tokens of the two pixels; of those beyond the last one that is taken, and nothing stored.
    int token[2];
    float values[2][kMid / 4];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int own = begin + lane / 16 + 2 * r;
      token[r] = own < count ? own : count - 1;
      const float* numbers = first + token[r] * (kMid * kPlaces) + 2 * t * kPlaces + outer;
#pragma unroll
      for (int i = 0; i < kMid / 4; ++i) values[r][i] = numbers[(i / 4 * 16 + i % 4 / 2 * 8 + i % 2) * kPlaces];
    }
    float means[2] = {}, rstds[2] = {};
#pragma unroll
    for (int i = 0; i < kMid / 4; ++i) {
      const float bias = bias1[i / 4 * 16 + i % 4 / 2 * 8 + i % 2 + 2 * t];
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        values[r][i] += bias;
        means[r] += values[r][i];
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      means[r] = reduce_warp<Plus>(means[r], 4) / static_cast<float>(kMid);
#pragma unroll
      for (int i = 0; i < kMid / 4; ++i) {
        values[r][i] -= means[r];
        rstds[r] += values[r][i] * values[r][i];
      }
      rstds[r] = 1.0F / sqrtf(reduce_warp<Plus>(rstds[r], 4) / static_cast<float>(kMid) + eps);
    }
    uint32_t a[kSteps][4];
#pragma unroll
    for (int i = 0; i < kMid / 4; i += 2) {
      const int m = i / 4 * 16 + i % 4 / 2 * 8 + 2 * t;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        a[i / 4][r + i % 4] = pair_of<T>(near_gelu(values[r][i] * rstds[r] * weight[m] + shift[m]),
                                         near_gelu(values[r][i + 1] * rstds[r] * weight[m + 1] + shift[m + 1]));
      }
    }

    const T* hyper[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const uint32_t mask = static_cast<uint32_t>(first_token + token[r]) / tokens;
      hyper[r] = weights.hyper + static_cast<int64_t>(mask) * outputs * channels + t / 2;
    }
    float sums[outputs][4] = {};
#pragma unroll 1
    for (int column = 0; column < columns; column += 16) {
      float products[2][4] = {};
#pragma unroll
      for (int k = 0; k < kSteps; ++k) {
        uint32_t b[4];
        load_matrices_transposed(b, weight2 + (16 * k + lane % 16) * stride + column + lane / 16 * 8);
        multiply_add<T>(products[0], a[k], {b[0], b[1]});
        multiply_add<T>(products[1], a[k], {b[2], b[3]});
      }
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const float bias = bias2[column / kPlaces + 2 * n + t / 2];
        for (float& product : products[n]) product = near_gelu(product + bias);
#pragma unroll
        for (int output = 0; output < outputs; ++output) {
#pragma unroll
          for (int r = 0; r < 2; ++r) {
            const float by = to_float(hyper[r][output * channels + 2 * n]);
            sums[output][2 * r] += products[n][2 * r] * by;
            sums[output][2 * r + 1] += products[n][2 * r + 1] * by;
          }
        }
      }
      for (const T*& channel : hyper) channel += 16 / kPlaces;
    }
    // Lanes t and t + 2 have the same places of other channels; the first stores pixel g, the second g + 8.
    const bool lower = t >= 2;
    const bool exists = begin + lane / 16 + (lower ? 2 : 0) < count;
    const auto own = static_cast<uint32_t>(first_token + (lower ? token[1] : token[0]));
    const uint32_t inside = own % tokens;
    const int64_t row = inside / width * 4 + outer / 2 * 2 + t % 2;
    T* to = y + static_cast<int64_t>(own / tokens) * outputs * s.tokens * 16 + row * 4 * s.width + inside % width * 4 +
            outer % 2 * 2;
#pragma unroll
    for (int output = 0; output < outputs; ++output) {
      for (float& sum : sums[output]) sum += __shfl_xor_sync(kAllLanes, sum, 2);
      const uint32_t pair =
          lower ? pair_of<T>(sums[output][2], sums[output][3]) : pair_of<T>(sums[output][0], sums[output][1]);
      if (exists) *reinterpret_cast<uint32_t*>(to + output * s.tokens * 16) = pair;
    }
  }
}

// False where pixels_kernel is not for it.
template <typename T>
bool upscale_at_once(const UpscaleMasks& op, const Sizes& s, int64_t tokens, CudaStream& stream) {
  if constexpr (sizeof(T) == 2) {
    const PixelWeights<T> weights{op.bias1.data<T>(),   op.normWeight.data<T>(), op.normBias.data<T>(),
                                  op.weight2.data<T>(), op.bias2.data<T>(),      op.hyper.data<T>()};
    T* const y = op.y.data<T>();
    if (s.mid != kMid || s.channels % 4 != 0 || s.channels == 0 || (s.outputs != 1 && s.outputs != 3)) return false;
    const int64_t shared_bytes = pixels_shared_bytes<T>(s.channels);
    if (shared_bytes > 48 << 10 || tokens > INT32_MAX || !aligned(weights.weight2, y)) return false;
    const auto kernel = s.outputs == 1 ? pixels_kernel<1, T> : pixels_kernel<3, T>;
    const int64_t dim = op.x.shape[2];
    for (int64_t begin = 0; begin < tokens; begin += kFusedPiece) {
      const ScratchScope scope(stream);
      const int64_t count = std::min(kFusedPiece, tokens - begin);
      float* first = stream.scratch_of<float>(count * kPlaces * kMid);
      product(stream, {.rows = count, .columns = kPlaces * kMid, .inner = dim, .dtype = op.x.dtype},
              reinterpret_cast<const std::byte*>(op.x.data<T>() + begin * dim), op.weight1.raw(), nullptr,
              reinterpret_cast<std::byte*>(first));
      const int64_t blocks = blocks_for(count, kThreads / 32 * 4);
      const Grid grid{.blocks = std::min(blocks, int64_t{kBlocks} * stream.processors()),
                      .threads = kThreads,
                      .shared_bytes = shared_bytes};
      launch(stream, kernel, grid, s, begin, static_cast<int>(count), op.eps, first, weights, y);
    }
    return true;
  }
  return false;
}

}  // namespace

void run(const UpscaleMasks& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int64_t dim = op.x.shape[2];
  const Sizes s{op.x.shape[1], op.width, op.weight1.shape[1], op.weight2.shape[1], op.hyper.shape[1]};
  const int64_t tokens = op.x.shape[0] * s.tokens;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    if (upscale_at_once<T>(op, s, tokens, stream)) return;
    for (int64_t begin = 0; begin < tokens; begin += kPiece) {
      const ScratchScope scope(stream);
      const int64_t count = std::min(kPiece, tokens - begin);
      float* first = stream.scratch_of<float>(count * kPlaces * s.mid);
      T* pixels = stream.scratch_of<T>(count * kPlaces * s.mid);
      float* second = stream.scratch_of<float>(count * kPlaces * kPlaces * s.channels);
      product(stream, {.rows = count, .columns = kPlaces * s.mid, .inner = dim, .dtype = op.x.dtype},
              reinterpret_cast<const std::byte*>(op.x.data<T>() + begin * dim), op.weight1.raw(), nullptr,
              reinterpret_cast<std::byte*>(first));
      launch(stream, normalise_kernel<T>, grid_of_warps(count), count, s.mid, first, op.bias1.data<T>(),
             op.normWeight.data<T>(), op.normBias.data<T>(), op.eps, pixels);
      product(stream, {.rows = count * kPlaces, .columns = kPlaces * s.channels, .inner = s.mid, .dtype = op.x.dtype},
              reinterpret_cast<const std::byte*>(pixels), op.weight2.raw(), nullptr, reinterpret_cast<std::byte*>(second));
      launch(stream, weigh_kernel<T>, grid_of_warps(count * kPlaces), s, begin, count * kPlaces, second, op.bias2.data<T>(),
             op.hyper.data<T>(), op.y.data<T>());
    }
  });
}

}  // namespace mglmm::cuda
