// Convolutions whose stride is their kernel are products, with weights as they are stored: [in, out, 2, 2] is a matrix
// [in, 4 out]. Between them a warp takes a token, or a pixel, its lanes the channels. A piece of the tokens at a time, so
// that what lies between x and y stays near.
#include "kernels/upscale_masks.h"

#include <algorithm>

#include "cuda/activation.cuh"
#include "cuda/product.h"
#include "cuda/reduce.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPlaces = 4;  // of the 2 x 2 pixels that a pixel becomes: (u, v) is 2 u + v
constexpr int64_t kPiece = 16384;

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

}  // namespace

void run(const UpscaleMasks& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int64_t dim = op.x.shape[2];
  const Sizes s{op.x.shape[1], op.width, op.weight1.shape[1], op.weight2.shape[1], op.hyper.shape[1]};
  const int64_t tokens = op.x.shape[0] * s.tokens;
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
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
