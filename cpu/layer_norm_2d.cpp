// A block of neighbouring pixels at a time, all its channels copied together first: channels lie a power of two apart,
// where one cache set would have to hold them all.
#include "kernels/layer_norm_2d.h"

#include <cmath>

#include "cpu/partial_sums.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kPixels = 128;

struct Blocks {
  int64_t channels, pixels, blocks_an_image, count;

  explicit Blocks(const Shape& shape)
      : channels(shape[1]),
        pixels(shape[2] * shape[3]),
        blocks_an_image((pixels + kPixels - 1) / kPixels),
        count(channels == 0 ? 0 : shape[0] * blocks_an_image) {}
  int64_t image(int64_t block) const { return block / blocks_an_image; }
  int64_t first_pixel(int64_t block) const { return block % blocks_an_image * kPixels; }
  int64_t width(int64_t block) const { return std::min(kPixels, pixels - first_pixel(block)); }
  // Of the block's first pixel in the first channel.
  int64_t offset(int64_t block) const { return image(block) * channels * pixels + first_pixel(block); }
};

}  // namespace

void run(const LayerNorm2d& op, Stream& stream) {
  const Blocks blocks(op.x.shape);
  if (op.x.count() == 0) return;
  float* scratch = stream.scratch_of<float>(thread_count() * blocks.channels * kPixels);
  const int64_t grain = std::max<int64_t>(1, kElementGrain / (kPixels * blocks.channels));
  const float reciprocal = 1.0F / static_cast<float>(blocks.channels);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    parallel_ranges(blocks.count, grain, [&](int64_t begin, int64_t end) {
      float* copy = scratch + thread_index() * blocks.channels * kPixels;
      for (int64_t block = begin; block < end; ++block) {
        const int64_t width = blocks.width(block);
        const T* x = op.x.data<T>() + blocks.offset(block);
        T* y = op.y.data<T>() + blocks.offset(block);
        alignas(64) float mean[kPixels] = {};
        alignas(64) float rstd[kPixels] = {};
        for (int64_t channel = 0; channel < blocks.channels; ++channel) {
          by_lanes(0, width, [&](int64_t i, auto... lanes) {
            const vfloat v = load(x + channel * blocks.pixels + i, lanes...);
            store(copy + channel * kPixels + i, v);
            store(mean + i, load(mean + i) + v);
          });
        }
        for (int64_t i = 0; i < width; i += kLanes) {
          const vfloat m = load(mean + i) * reciprocal;
          vfloat squares = splat(0);
          for (int64_t channel = 0; channel < blocks.channels; ++channel) {
            const vfloat centred = load(copy + channel * kPixels + i) - m;
            squares += centred * centred;
          }
          store(mean + i, m);
          for (int lane = 0; lane < kLanes; ++lane) rstd[i + lane] = 1.0F / std::sqrt(squares[lane] * reciprocal + op.eps);
        }
        for (int64_t channel = 0; channel < blocks.channels; ++channel) {
          const float weight = op.weight.data<T>()[channel];
          const float bias = op.bias.data<T>()[channel];
          by_lanes(0, width, [&](int64_t i, auto... lanes) {
            const vfloat n = (load(copy + channel * kPixels + i) - load(mean + i)) * load(rstd + i);
            store(y + channel * blocks.pixels + i, n * weight + bias, lanes...);
          });
        }
        const int64_t pixel = blocks.image(block) * blocks.pixels + blocks.first_pixel(block);
        const auto bytes = static_cast<size_t>(width) * sizeof(float);
        if (op.mean) std::memcpy(op.mean.data<float>() + pixel, mean, bytes);
        if (op.rstd) std::memcpy(op.rstd.data<float>() + pixel, rstd, bytes);
      }
    });
  });
}

void run(const LayerNorm2dBackward& op, Stream& stream) {
  const Blocks blocks(op.x.shape);
  if (blocks.channels == 0) return;
  const int64_t channels = blocks.channels;
  float* scratch = stream.scratch_of<float>(thread_count() * channels * kPixels * 2);
  const PartialSums sums(stream, blocks.count, 2 * channels);
  const float reciprocal = 1.0F / static_cast<float>(channels);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    sums.by_pieces(kPixels * channels, [&](int64_t begin, int64_t end, float* dweight) {
      float* dbias = dweight + channels;
      float* normal = scratch + thread_index() * channels * kPixels * 2;  // n of each channel, then g
      float* weighted = normal + channels * kPixels;
      for (int64_t block = begin; block < end; ++block) {
        const int64_t width = blocks.width(block);
        const int64_t pixel = blocks.image(block) * blocks.pixels + blocks.first_pixel(block);
        const float* mean = op.mean.data<float>() + pixel;
        const float* rstd = op.rstd.data<float>() + pixel;
        const T* x = op.x.data<T>() + blocks.offset(block);
        const T* dy = op.dy.data<T>() + blocks.offset(block);
        alignas(64) float level[kPixels] = {};  // mean of g
        alignas(64) float along[kPixels] = {};  // mean of g * n
        for (int64_t channel = 0; channel < channels; ++channel) {
          const float weight = op.weight.data<T>()[channel] * reciprocal;
          vfloat weight_sum = splat(0);
          vfloat bias_sum = splat(0);
          by_lanes(0, width, [&](int64_t i, auto... lanes) {
            const vfloat d = load(dy + channel * blocks.pixels + i, lanes...);
            const vfloat n =
                (load(x + channel * blocks.pixels + i, lanes...) - load(mean + i, lanes...)) * load(rstd + i, lanes...);
            const vfloat g = d * weight;
            store(normal + channel * kPixels + i, n);
            store(weighted + channel * kPixels + i, g);
            store(level + i, load(level + i) + g);
            store(along + i, load(along + i) + g * n);
            weight_sum += d * n;
            bias_sum += d;
          });
          dweight[channel] += sum(weight_sum);
          dbias[channel] += sum(bias_sum);
        }
        if (!op.dx) continue;
        T* dx = op.dx.data<T>() + blocks.offset(block);
        const auto size = static_cast<float>(channels);
        for (int64_t channel = 0; channel < channels; ++channel) {
          by_lanes(0, width, [&](int64_t i, auto... lanes) {
            const vfloat n = load(normal + channel * kPixels + i);
            const vfloat g = load(weighted + channel * kPixels + i) * size;
            store(dx + channel * blocks.pixels + i, load(rstd + i, lanes...) * (g - load(level + i) - n * load(along + i)),
                  lanes...);
          });
        }
      }
    });
    if (op.dweight) sums.finish(0, channels, op.dweight.data<T>());
    if (op.dbias) sums.finish(channels, channels, op.dbias.data<T>());
  });
}

}  // namespace mglmm::cpu
