#include "kernels/window_partition.h"

#include "cuda/rows.cuh"

namespace mglmm::cuda {
namespace {

// A map [height, width] in windows, its last ones padded: which pixel a place in a window is, and back.
struct Windows {
  const std::byte* x;
  int64_t height, width, window, row_bytes;
  __device__ int64_t down() const { return (height + window - 1) / window; }
  __device__ int64_t across() const { return (width + window - 1) / window; }
};

struct Partitioned {
  Windows windows;
  const std::byte* padding;  // null: zeros
  __device__ const std::byte* operator()(int64_t row) const {
    const int64_t area = windows.window * windows.window;
    const int64_t index = row / area;  // of the window
    const int64_t within = row % area;
    const int64_t image = index / (windows.down() * windows.across());
    const int64_t y = index / windows.across() % windows.down() * windows.window + within / windows.window;
    const int64_t x = index % windows.across() * windows.window + within % windows.window;
    if (y >= windows.height || x >= windows.width) return padding;
    return windows.x + ((image * windows.height + y) * windows.width + x) * windows.row_bytes;
  }
};
struct Unpartitioned {
  Windows windows;
  __device__ const std::byte* operator()(int64_t row) const {
    const int64_t x = row % windows.width;
    const int64_t y = row / windows.width % windows.height;
    const int64_t image = row / windows.width / windows.height;
    const int64_t index = (image * windows.down() + y / windows.window) * windows.across() + x / windows.window;
    const int64_t within = y % windows.window * windows.window + x % windows.window;
    return windows.x + (index * windows.window * windows.window + within) * windows.row_bytes;
  }
};

}  // namespace

void run(const WindowPartition& op, CudaStream& stream) {
  const Windows windows{op.x.raw(), op.x.shape[1], op.x.shape[2], op.window, op.x.shape[3] * size_of(op.x.dtype)};
  const std::byte* padding = op.padding ? op.padding->raw() : nullptr;
  move_rows(stream, op.y.shape.count(0, 3), windows.row_bytes, op.y.raw(), Partitioned{windows, padding}, windows.x,
            padding);
}

void run(const WindowUnpartition& op, CudaStream& stream) {
  const Windows windows{op.x.raw(), op.height, op.width, op.x.shape[1], op.x.shape[3] * size_of(op.x.dtype)};
  move_rows(stream, op.y.shape.count(0, 3), windows.row_bytes, op.y.raw(), Unpartitioned{windows}, windows.x);
}

}  // namespace mglmm::cuda
