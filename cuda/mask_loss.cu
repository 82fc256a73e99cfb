// A block a piece of a mask, a block a mask, then a warp for all. Where logits are smaller than the target, threads go down
// columns of the target side by side, a column each, with three rows of logits, resized along the row, in registers: each is
// made once. The gradient comes back the same way, three sums a thread, then along the rows; each logit adds up pixels in
// their order.
#include "kernels/mask_loss.h"

#include <algorithm>

#include "cuda/mask_rows.cuh"
#include "cuda/mask_sums.cuh"

namespace mglmm::cuda {
namespace {

constexpr int64_t kPiece = 16384;  // pixels of a block, where logits are not resized
constexpr int64_t kRows = 64;      // of a block, where they are
constexpr int64_t kLowRows = 16;   // of logits whose gradient a block makes
constexpr int kSumRows = 4;        // of those, whose sums along the rows a thread makes together
constexpr int kAhead = 4;          // rows whose targets a thread asks for at a time

__device__ __forceinline__ float goal_at(const float* target, int64_t i) { return target[i]; }
__device__ __forceinline__ float goal_at(const uint8_t* target, int64_t i) { return static_cast<float>(target[i]); }

// The next rows of a column of a target, of `count` that are left, and where those after them are.
template <typename U>
__device__ __forceinline__ const U* load_rows(U (&rows)[kAhead], const U* target, int64_t stride, int count) {
#pragma unroll
  for (int k = 0; k < kAhead; ++k, target += stride) rows[k] = k < count ? *target : U{};
  return target;
}

template <typename T, typename U>
__global__ void __launch_bounds__(kThreads)
    sum_equal_kernel(int64_t pixels, int64_t pieces, const T* pred, const U* target, Total* partial) {
  const int64_t origin = blockIdx.x / pieces * pixels;
  const int64_t first = blockIdx.x % pieces * kPiece;
  const int64_t end = first + kPiece < pixels ? first + kPiece : pixels;
  Sums<float> own{};
  for (int64_t i = first + threadIdx.x; i < end; i += kThreads)
    own.add_pixel(to_float(pred[origin + i]), goal_at(target, origin + i));
  put_sum_of_block(own, partial);
}

struct PieceRows {
  PackedTaps values[kRows];
};

// A block kRows rows of kThreads columns.
template <typename T, typename U>
__global__ void __launch_bounds__(kThreads)
    sum_resized_kernel(MaskResize resize, int64_t across, int64_t pieces, const T* pred, const U* target, Total* partial) {
  auto& rows = shared<PieceRows>().values;
  const int64_t mask = blockIdx.x / pieces;
  const int64_t top = blockIdx.x % pieces / across * kRows;
  const int64_t column = blockIdx.x % across * kThreads + threadIdx.x;
  const int64_t left = resize.rows.out - top;
  const auto count = static_cast<int>(left < kRows ? left : kRows);
  if (static_cast<int>(threadIdx.x) < count) rows[threadIdx.x] = PackedTaps::of(resize.rows, top + threadIdx.x);
  __syncthreads();
  Sums<float> own{};
  if (column < resize.columns.out) {
    MaskColumn<T> logits(resize, pred + mask * resize.low_pixels(), PackedTaps::of(resize.columns, column));
    logits.begin(rows[0].first);
    const U* goals = target + mask * resize.pixels() + top * resize.columns.out + column;
    for (int first = 0; first < count; first += kAhead) {
      U ahead[kAhead];
      goals = load_rows(ahead, goals, resize.columns.out, count - first);
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        if (first + k >= count) break;
        const PackedTaps row = rows[first + k];
#pragma unroll 1
        while (logits.first() < row.first) logits.advance();
        own.add_pixel(logits.mixed(row), goal_at(ahead, k));
      }
    }
  }
  put_sum_of_block(own, partial);
}

struct Settings {
  int64_t masks, pixels;
  double count, scale, eps;
};

// Of one mask.
struct Losses {
  double bce, dice;
};

// A block a mask.
__global__ void __launch_bounds__(kThreads)
    mask_losses_kernel(Settings settings, int64_t pieces, const Total* partial, Losses* losses, float* iou, float* saved) {
  const int64_t mask = blockIdx.x;
  Total own{};
  for (int64_t piece = threadIdx.x; piece < pieces; piece += kThreads) own += partial[mask * pieces + piece];
  const Total total = sum_of_block(own);
  if (threadIdx.x != 0) return;
  const double overlap =
      (2 * total.both / settings.scale + settings.eps) / ((total.p + total.target) / settings.scale + settings.eps);
  losses[mask] = {settings.pixels > 0 ? total.entropy / static_cast<double>(settings.pixels) : 0, 1 - overlap};
  const double either = total.inside + total.target - total.hit;
  if (iou != nullptr) iou[mask] = either > 0 ? static_cast<float>(total.hit / either) : 1.0F;
  if (saved == nullptr) return;
  saved[3 * mask] = static_cast<float>(total.both);
  saved[3 * mask + 1] = static_cast<float>(total.p);
  saved[3 * mask + 2] = static_cast<float>(total.target);
}

// A warp, which adds up masks in their order.
__global__ void __launch_bounds__(32) mean_losses_kernel(Settings settings, const Losses* losses, float* bce, float* dice) {
  double bce_total = 0, dice_total = 0;
  for (int64_t first = 0; first < settings.masks; first += 32) {
    const int64_t mask = first + threadIdx.x;
    const Losses own = mask < settings.masks ? losses[mask] : Losses{};
    for (int lane = 0; lane < 32; ++lane) {
      bce_total += __shfl_sync(kAllLanes, own.bce, lane);
      dice_total += __shfl_sync(kAllLanes, own.dice, lane);
    }
  }
  if (threadIdx.x != 0) return;
  if (bce != nullptr) *bce = static_cast<float>(bce_total / (settings.count + 1e-8));
  if (dice != nullptr) *dice = static_cast<float>(dice_total / (settings.count + 1e-8));
}

// d loss / d p of a mask, but for what does not depend on the pixel.
struct Slopes {
  float bce, p, target;

  __device__ __forceinline__ float at(float x, float goal) const {
    const Sigmoid s(x);
    const float from_bce = bce * ((1.0F - goal) * s.p - goal * s.rest);
    return from_bce + (p - target * goal) * s.p * s.rest;
  }
};

// What the gradient comes from: null where there is none.
struct Upstream {
  Settings settings;
  const float *bce, *dice, *saved;

  // In every thread of the block. All of its threads come here.
  __device__ Slopes slopes_of_block(int64_t mask) const {
    auto& slopes = shared<Slopes>();
    if (threadIdx.x == 0) {
      const double dbce = bce == nullptr ? 0 : *bce / (settings.count + 1e-8) / static_cast<double>(settings.pixels);
      const double ddice = dice == nullptr ? 0 : *dice / (settings.count + 1e-8);
      const float* sums = saved + 3 * mask;
      const double above = 2.0 * sums[0] / settings.scale + settings.eps;
      const double below = (static_cast<double>(sums[1]) + sums[2]) / settings.scale + settings.eps;
      slopes.bce = static_cast<float>(dbce);
      slopes.p = static_cast<float>(ddice * above / (below * below * settings.scale));
      slopes.target = static_cast<float>(ddice * 2 / (below * settings.scale));
    }
    __syncthreads();
    return slopes;
  }
};

template <typename T, typename U>
__global__ void __launch_bounds__(kThreads)
    gradient_equal_kernel(Upstream upstream, int64_t pieces, const T* pred, const U* target, T* dpred) {
  const int64_t pixels = upstream.settings.pixels;
  const Slopes slopes = upstream.slopes_of_block(blockIdx.x / pieces);
  const int64_t origin = blockIdx.x / pieces * pixels;
  const int64_t first = blockIdx.x % pieces * kPiece;
  const int64_t end = first + kPiece < pixels ? first + kPiece : pixels;
  for (int64_t i = origin + first + threadIdx.x; i < origin + end; i += kThreads)
    put(dpred[i], slopes.at(to_float(pred[i]), goal_at(target, i)));
}

struct Tile {
  PackedTaps rows[kThreads];
  PackedTaps columns[kThreads];
  float down[kLowRows][kThreads];   // gradients of pixels, summed down the columns of the target
  float sums[kLowRows * kThreads];  // of logits
};

// A block kLowRows rows of `low_columns` logits, at most kThreads.
template <typename T, typename U>
__global__ void __launch_bounds__(kThreads)
    gradient_resized_kernel(Upstream upstream, MaskResize resize, int64_t low_columns, int64_t across, int64_t pieces,
                            const T* pred, const U* target, T* dpred) {
  auto& tile = shared<Tile>();
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t mask = blockIdx.x / pieces;
  const Slopes slopes = upstream.slopes_of_block(mask);
  const auto top = static_cast<int32_t>(blockIdx.x % pieces / across * kLowRows);
  const auto left = static_cast<int32_t>(blockIdx.x % across * low_columns);
  const auto bottom = static_cast<int32_t>(top + kLowRows < resize.rows.in ? top + kLowRows : resize.rows.in);
  const auto right = static_cast<int32_t>(left + low_columns < resize.columns.in ? left + low_columns : resize.columns.in);
  const int32_t height = bottom - top, width = right - left;
  const PixelRange down = readers(resize.rows, top, bottom), along = readers(resize.columns, left, right);
  const U* goals = target + mask * resize.pixels();
  for (int i = thread; i < kLowRows * width; i += kThreads) tile.sums[i] = 0;
  for (int64_t piece = along.begin; piece < along.end; piece += kThreads) {
    const int64_t column = piece + thread;
    const auto columns = static_cast<int>(along.end - piece < kThreads ? along.end - piece : kThreads);
    __syncthreads();  // the piece before is still read
    PackedTaps taps{};
    if (thread < columns) taps = PackedTaps::of(resize.columns, column);
    tile.columns[thread] = taps;
    for (auto& row : tile.down) row[thread] = 0;
    const bool reads = thread < columns && taps.first < right && taps.first + kMaskTaps > left;
    MaskColumn<T> logits(resize, pred + mask * resize.low_pixels(), taps);
    float sums[kMaskTaps] = {};
    bool begun = false;
    const auto finish = [&](int32_t row, float sum) {
      if (row >= top && row < bottom) tile.down[row - top][thread] = sum;
    };
    for (int64_t batch = down.begin; batch < down.end; batch += kThreads) {
      const auto rows = static_cast<int>(down.end - batch < kThreads ? down.end - batch : kThreads);
      __syncthreads();  // the batch before is still read
      if (thread < rows) tile.rows[thread] = PackedTaps::of(resize.rows, batch + thread);
      __syncthreads();
      const int begin = first_reader(tile.rows, rows, top);
      const int end = reads ? first_reader(tile.rows, rows, bottom + kMaskTaps - 1) : begin;
      if (begin < end && !begun) {
        logits.begin(tile.rows[begin].first);
        begun = true;
      }
      const U* next = goals + (batch + begin) * resize.columns.out + column;
      for (int first = begin; first < end; first += kAhead) {
        U ahead[kAhead];
        next = load_rows(ahead, next, resize.columns.out, end - first);
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
          if (first + i >= end) break;
          const PackedTaps row = tile.rows[first + i];
#pragma unroll 1
          while (logits.first() < row.first) {
            finish(logits.first(), sums[0]);
            sums[0] = sums[1];
            sums[1] = sums[2];
            sums[2] = 0;
            logits.advance();
          }
          const float gradient = slopes.at(logits.mixed(row), goal_at(ahead, i));
          for (int k = 0; k < kMaskTaps; ++k) sums[k] += row.weights[k] * gradient;
        }
      }
    }
    for (int k = 0; begun && k < kMaskTaps; ++k) finish(logits.first() + k, sums[k]);
    __syncthreads();
    for (int i = thread; i < kLowRows / kSumRows * width; i += kThreads) {
      const int first = i / width * kSumRows;
      const int32_t logit = left + i % width;
      float* const sums_of_logit = tile.sums + first * width + i % width;
      float along_rows[kSumRows];
#pragma unroll
      for (int row = 0; row < kSumRows; ++row) along_rows[row] = sums_of_logit[row * width];
      for (int k = first_reader(tile.columns, columns, logit); k < columns && tile.columns[k].first <= logit; ++k) {
        const float weight = tile.columns[k].weights[logit - tile.columns[k].first];
#pragma unroll
        for (int row = 0; row < kSumRows; ++row) along_rows[row] += weight * tile.down[first + row][k];
      }
#pragma unroll
      for (int row = 0; row < kSumRows; ++row) sums_of_logit[row * width] = along_rows[row];
    }
  }
  __syncthreads();
  T* to = dpred + mask * resize.low_pixels() + top * resize.columns.in + left;
  for (int i = thread; i < height * width; i += kThreads) put(to[i / width * resize.columns.in + i % width], tile.sums[i]);
}

template <typename Body>
void by_target(const ConstTensor& target, Body&& body) {
  if (target.dtype == Dtype::u8)
    body(target.data<uint8_t>());
  else
    body(target.data<float>());
}

template <typename Op>
Settings settings_of(const Op& op) {
  return {op.pred.shape[0], op.target.shape[1] * op.target.shape[2], op.count, op.scale, op.eps};
}

}  // namespace

void run(const MaskLoss& op, CudaStream& stream) {
  const Settings settings = settings_of(op);
  const MaskResize resize{mask_rows(op), mask_columns(op)};
  const int64_t across = blocks_for(resize.columns.out, kThreads);
  const int64_t pieces =
      resize.is_identity() ? blocks_for(settings.pixels, kPiece) : across * blocks_for(resize.rows.out, kRows);
  auto* partial = stream.scratch_of<Total>(settings.masks * pieces);
  const Grid grid{.blocks = settings.masks * pieces, .threads = kThreads};
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&]<typename U>(const U* target) {
      if (resize.is_identity()) {
        launch(stream, sum_equal_kernel<T, U>, grid, settings.pixels, pieces, op.pred.data<T>(), target, partial);
      } else {
        launch(stream, sum_resized_kernel<T, U>, grid, resize, across, pieces, op.pred.data<T>(), target, partial);
      }
    });
  });
  auto* losses = stream.scratch_of<Losses>(settings.masks);
  launch(stream, mask_losses_kernel, {.blocks = settings.masks, .threads = kThreads}, settings, pieces, partial, losses,
         op.iou ? op.iou.data<float>() : nullptr, op.sums ? op.sums.data<float>() : nullptr);
  launch(stream, mean_losses_kernel, {.blocks = 1, .threads = 32}, settings, losses, op.bce ? op.bce.data<float>() : nullptr,
         op.dice ? op.dice.data<float>() : nullptr);
}

void run(const MaskLossBackward& op, CudaStream& stream) {
  if (!op.dpred || op.dpred.count() == 0) return;
  const Settings settings = settings_of(op);
  if (settings.pixels == 0) return stream.clear(op.dpred.raw(), op.dpred.bytes());
  const MaskResize resize{mask_rows(op), mask_columns(op)};
  const Upstream upstream{settings, op.dbce ? op.dbce->data<float>() : nullptr, op.ddice ? op.ddice->data<float>() : nullptr,
                          op.sums.data<float>()};
  // As many logits side by side as have all their readers in one column a thread.
  const double scale = resize.columns.scale * resize.columns.input_scale;
  const int64_t most = std::clamp<int64_t>(static_cast<int64_t>((kThreads - 5) * scale) - kMaskTaps, 1, kThreads);
  const int64_t across = blocks_for(resize.columns.in, most);
  const int64_t low_columns = blocks_for(resize.columns.in, across);
  const int64_t pieces =
      resize.is_identity() ? blocks_for(settings.pixels, kPiece) : across * blocks_for(resize.rows.in, kLowRows);
  const Grid grid{.blocks = settings.masks * pieces, .threads = kThreads};
  by_dtype(op.pred.dtype, [&]<typename T>(Type<T>) {
    by_target(op.target, [&]<typename U>(const U* target) {
      if (resize.is_identity()) {
        launch(stream, gradient_equal_kernel<T, U>, grid, upstream, pieces, op.pred.data<T>(), target, op.dpred.data<T>());
      } else {
        launch(stream, gradient_resized_kernel<T, U>, grid, upstream, resize, low_columns, across, pieces, op.pred.data<T>(),
               target, op.dpred.data<T>());
      }
    });
  });
}

}  // namespace mglmm::cuda
