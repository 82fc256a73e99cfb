#include "kernels/softmax.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "cpu/parallel.h"
#include "cpu/past_caches.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

int64_t grain_of_rows(int64_t size) { return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(size, 1)); }

template <typename T>
float max_by_lanes(const T* x, int64_t size) {
  const float lowest = -std::numeric_limits<float>::infinity();
  vfloat most[4] = {splat(lowest), splat(lowest), splat(lowest), splat(lowest)};
  int64_t i = 0;
  for (; i + 4 * kLanes <= size; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) most[k] = max(load(x + i + k * kLanes), most[k]);
  }
  for (; i + kLanes <= size; i += kLanes) most[0] = max(load(x + i), most[0]);
  float largest = max(max(max(most[0], most[1]), max(most[2], most[3])));
  for (; i < size; ++i) largest = std::max(largest, static_cast<float>(x[i]));
  return largest;
}

// Lane r is element `r * stride` from `from`.
vfloat read_column(const float* from, int64_t stride) {
#if defined(__AVX512F__)
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i index = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int32_t>(stride)));
  return std::bit_cast<vfloat>(_mm512_i32gather_ps(index, from, 4));
#else
  vfloat v;
  for (int lane = 0; lane < kLanes; ++lane) v[lane] = from[lane * stride];
  return v;
#endif
}

void write_column(float* to, int64_t stride, vfloat v) {
#if defined(__AVX512F__)
  const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  const __m512i index = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int32_t>(stride)));
  _mm512_i32scatter_ps(to, index, std::bit_cast<__m512>(v), 4);
#else
  for (int lane = 0; lane < kLanes; ++lane) to[lane * stride] = v[lane];
#endif
}

constexpr int64_t kShortRow = 16;

// kLanes rows of `size` <= kShortRow, a row a lane: such rows would leave most lanes of a vector idle.
template <typename T>
void short_rows(const T* from, int64_t size, T* to) {
  alignas(64) float block[kShortRow * kLanes];
  for (int64_t i = 0; i < size; ++i) store(block + i * kLanes, load(from + i * kLanes));
  vfloat columns[kShortRow];
  vfloat most = columns[0] = read_column(block, size);
  for (int64_t i = 1; i < size; ++i) most = max(columns[i] = read_column(block + i, size), most);
  vfloat total = {};
  for (int64_t i = 0; i < size; ++i) total += columns[i] = exp(columns[i] - most);
  const vfloat factor = 1.0F / total;
  for (int64_t i = 0; i < size; ++i) write_column(block + i, size, columns[i] * factor);
  for (int64_t i = 0; i < size; ++i) store(to + i * kLanes, load(block + i * kLanes));
}

template <typename T>
void short_rows_gradient(const T* y, const T* dy, int64_t size, T* dx) {
  alignas(64) float block[kShortRow * kLanes], dblock[kShortRow * kLanes];
  for (int64_t i = 0; i < size; ++i) {
    store(block + i * kLanes, load(y + i * kLanes));
    store(dblock + i * kLanes, load(dy + i * kLanes));
  }
  vfloat columns[kShortRow], dcolumns[kShortRow];
  vfloat total = {};
  for (int64_t i = 0; i < size; ++i) {
    columns[i] = read_column(block + i, size);
    dcolumns[i] = read_column(dblock + i, size);
    total += columns[i] * dcolumns[i];
  }
  for (int64_t i = 0; i < size; ++i) write_column(block + i, size, columns[i] * (dcolumns[i] - total));
  for (int64_t i = 0; i < size; ++i) store(dx + i * kLanes, load(block + i * kLanes));
}

// Calls `short_rows(row)` for kLanes rows from `row` on where rows are short, `one(row)` for any other. Which rows go
// together depends on the shape alone.
template <typename ShortRows, typename One>
void each_row(int64_t rows, int64_t size, ShortRows&& short_rows, One&& one) {
  const int64_t step = size <= kShortRow ? kLanes : 1;
  parallel_ranges((rows + step - 1) / step, grain_of_rows(size * step), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * step; row < std::min(end * step, rows); row += step) {
      if (step > 1 && row + step <= rows)
        short_rows(row);
      else
        for (int64_t single = row; single < std::min(row + step, rows); ++single) one(single);
    }
    fence_past_caches();
  });
}

}  // namespace

void run(const Softmax& op, Stream& stream) {
  const int64_t size = op.x.shape[-1];
  if (op.x.count() == 0) return;
  float* scratch = op.x.dtype == Dtype::f32 ? nullptr : stream.scratch_of<float>(thread_count() * size);
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const T* x = op.x.data<T>();
    T* y = op.y.data<T>();
    each_row(
        op.x.count() / size, size, [=](int64_t row) { short_rows(x + row * size, size, y + row * size); },
        [=](int64_t row) {
          const T* from = x + row * size;
          T* to = y + row * size;
          float* exponentials;  // in f32 whatever T is: the sum is of what is divided by it
          if constexpr (std::is_same_v<T, float>)
            exponentials = to;
          else
            exponentials = scratch + thread_index() * size;
          const float largest = max_by_lanes(from, size);
          const float total = sum_by_lanes(0, size, [=](int64_t i, auto... lanes) {
            const vfloat e = exp(load(from + i, lanes...) - largest);
            store(exponentials + i, e, lanes...);
            return e;
          });
          const float factor = 1.0F / total;
          by_lanes(0, size,
                   [=](int64_t at, auto... lanes) { store(to + at, load(exponentials + at, lanes...) * factor, lanes...); });
        });
  });
}

void run(const SoftmaxBackward& op, Stream&) {
  const int64_t size = op.y.shape[-1];
  if (!op.dx || op.y.count() == 0) return;
  by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
    const T* dy = op.dy.data<T>();
    const T* y = op.y.data<T>();
    T* dx = op.dx.data<T>();
    const bool past_caches = exceeds_caches(op.dx.bytes());
    each_row(
        op.y.count() / size, size,
        [=](int64_t row) { short_rows_gradient(y + row * size, dy + row * size, size, dx + row * size); },
        [=](int64_t row) {
          const int64_t start = row * size;
          const float total = sum_by_lanes(
              start, start + size, [=](int64_t i, auto... lanes) { return load(dy + i, lanes...) * load(y + i, lanes...); });
          store_by_lanes(dx, start, start + size, past_caches,
                         [=](int64_t i, auto... lanes) { return load(y + i, lanes...) * (load(dy + i, lanes...) - total); });
        });
  });
}

}  // namespace mglmm::cpu
