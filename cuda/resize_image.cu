// Two passes of one kernel, a thread a byte of the result. Weights are made on the host, as the CPU makes them.
#include "kernels/resize_image.h"

#include <array>
#include <optional>
#include <vector>

#include "cuda/strided.cuh"
#include "kernels/resize_weights.h"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

// y [outer, size, inner] of x, whose middle axis is the one that is resized; strides of x in bytes.
struct Pass {
  int64_t outer, outer_stride;
  int64_t stride;
  int64_t inner;
};
struct Weights {
  int64_t size, taps;
  const int32_t *first, *count, *weights;
};

__global__ void __launch_bounds__(kThreads) resize_kernel(Pass pass, Weights axis, const uint8_t* x, uint8_t* y) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= pass.outer * axis.size * pass.inner) return;
  const int64_t i = at / pass.inner % axis.size;
  const int32_t* weights = axis.weights + i * axis.taps;
  x += at / pass.inner / axis.size * pass.outer_stride + axis.first[i] * pass.stride + at % pass.inner;
  int32_t sum = 1 << (kResizeBits - 1);
  for (int32_t k = 0; k < axis.count[i]; ++k) sum += weights[k] * x[k * pass.stride];
  sum >>= kResizeBits;
  y[at] = static_cast<uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
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
};

void resize(CudaStream& stream, const Pass& pass, const HostAxis& host, const uint8_t* x, uint8_t* y) {
  const auto& [first, count, weights] = host.tables;
  const Weights axis{host.axis.size, host.axis.taps, stream.table(first), stream.table(count), stream.table(weights)};
  launch(stream, resize_kernel, {.blocks = blocks_for(pass.outer * axis.size * pass.inner, kThreads), .threads = kThreads},
         pass, axis, x, y);
}

}  // namespace

void run(const ResizeImage& op, CudaStream& stream) {
  if (op.y.count() == 0) return;
  const int64_t channels = op.image.shape[2];
  const int64_t row_bytes = op.cropWidth * channels;
  const bool along_rows = op.width != op.image.shape[1];
  std::optional<HostAxis> down;
  if (op.height != op.image.shape[0]) down.emplace(op.filter, op.image.shape[0], op.height, op.top, op.cropHeight);
  // Rows of the image that are read.
  const int64_t begin = down ? down->axis.read_begin() : op.top;
  const int64_t end = down ? down->axis.read_end() : op.top + op.cropHeight;
  int64_t stride = op.image.shape[1] * channels;
  const uint8_t* rows = op.image.data<uint8_t>() + begin * stride;
  auto* y = op.y.data<uint8_t>();
  if (along_rows) {
    uint8_t* resized = down ? stream.scratch_of<uint8_t>((end - begin) * row_bytes) : y;
    const HostAxis along(op.filter, op.image.shape[1], op.width, op.left, op.cropWidth);
    resize(stream, {.outer = end - begin, .outer_stride = stride, .stride = channels, .inner = channels}, along, rows,
           resized);
    rows = resized;
    stride = row_bytes;
  } else {
    rows += op.left * channels;
  }
  if (down)
    resize(stream, {.outer = 1, .outer_stride = 0, .stride = stride, .inner = row_bytes}, *down, rows - begin * stride, y);
  else if (!along_rows)
    copy_rows(stream, op.cropHeight, row_bytes, reinterpret_cast<const std::byte*>(rows), stride, op.y.raw(), row_bytes);
}

}  // namespace mglmm::cuda
