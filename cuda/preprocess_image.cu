// Two kernels: along the rows, and down the columns with all that follows, so the resized picture is nowhere. Weights, and
// what each byte of a channel becomes, are made on the host, as the CPU makes them.
#include "kernels/preprocess_image.h"

#include <array>
#include <vector>

#include "cuda/number.cuh"
#include "kernels/resize_weights.h"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

struct Axis {
  int64_t size, taps;
  const int32_t *first, *count, *weights;

  // Result i of the bytes at x, x + stride, ...
  __device__ uint8_t resized(int64_t i, const uint8_t* x, int64_t stride) const {
    const int32_t* own = weights + i * taps;
    x += first[i] * stride;
    int32_t sum = 1 << (kResizeBits - 1);
    for (int32_t k = 0; k < count[i]; ++k) sum += own[k] * x[k * stride];
    sum >>= kResizeBits;
    return static_cast<uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
  }
};

// y [rows, axis.size, channels] of x [rows, in_width, channels], a thread a byte.
__global__ void __launch_bounds__(kThreads)
    resize_rows_kernel(int64_t rows, int64_t in_width, int64_t channels, Axis axis, const uint8_t* x, uint8_t* y) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= rows * axis.size * channels) return;
  const int64_t pixel = at / channels;
  y[at] = axis.resized(pixel % axis.size, x + pixel / axis.size * in_width * channels + at % channels, channels);
}

struct Sizes {
  int64_t channels, columns, height, width;
};

// All channels of a pixel of the result, a thread a pixel. x: rows of the image, `stride` bytes apart.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    finish_kernel(Sizes s, Axis axis, int64_t stride, const uint8_t* x, const float* results, T* y) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= s.height * s.width) return;
  const int64_t row = at / s.width, column = at % s.width;
  const bool inside = row < axis.size && column < s.columns;
  for (int64_t channel = 0; channel < s.channels; ++channel) {
    float value = 0;
    if (inside) value = results[256 * channel + axis.resized(row, x + column * s.channels + channel, stride)];
    put(y[channel * s.height * s.width + at], value);
  }
}

// With the memory of its tables, on the host.
struct HostAxis {
  std::array<std::vector<int32_t>, 3> tables;
  ResizeAxis axis;
  HostAxis(ResizeFilter filter, int64_t in, int64_t out, int64_t begin, int64_t size)
      : axis(resize_axis(filter, in, out, begin, size, [this, made = size_t{0}](int64_t count) mutable {
          tables[made].resize(static_cast<size_t>(count));
          return tables[made++].data();
        })) {}

  Axis on(CudaStream& stream) const {
    const auto& [first, count, weights] = tables;
    return {axis.size, axis.taps, stream.table(first), stream.table(count), stream.table(weights)};
  }
};

}  // namespace

void run(const PreprocessImage& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  if (op.rows() * op.columns() == 0) return stream.clear(op.y.raw(), op.y.bytes());
  const int64_t in_width = op.image.shape[1], channels = op.image.shape[2], columns = op.columns();
  const HostAxis vertical(op.filter, op.image.shape[0], op.resizedHeight, op.top, op.rows());
  const int64_t begin = vertical.axis.read_begin(), end = vertical.axis.read_end();  // rows of the image that are read
  int64_t stride = in_width * channels;
  const uint8_t* rows = op.image.data<uint8_t>() + begin * stride + op.left * channels;
  if (op.resizedWidth != in_width) {
    const HostAxis along(op.filter, in_width, op.resizedWidth, op.left, columns);
    auto* resized = stream.scratch_of<uint8_t>((end - begin) * columns * channels);
    launch(stream, resize_rows_kernel,
           {.blocks = blocks_for((end - begin) * columns * channels, kThreads), .threads = kThreads}, end - begin, in_width,
           channels, along.on(stream), op.image.data<uint8_t>() + begin * stride, resized);
    rows = resized;
    stride = columns * channels;
  }
  std::vector<float> results;
  for (int64_t i = 0; i < 256 * channels; ++i) results.push_back(op.normalized(i / 256, i % 256));
  by_dtype(op.dtype, [&]<typename T>(Type<T>) {
    launch(stream, finish_kernel<T>, {.blocks = blocks_for(op.height * op.width, kThreads), .threads = kThreads},
           Sizes{channels, columns, op.height, op.width}, vertical.on(stream), stride, rows - begin * stride,
           stream.table(results), op.y.data<T>());
  });
}

}  // namespace mglmm::cuda
