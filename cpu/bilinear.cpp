#include "kernels/bilinear.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// Where each output position along an axis reads: positions `lower` and `lower + 1`, the upper one with weight `upper`.
// At the far edge lower + 1 may be one past the end, which then repeats the last pixel.
struct Axis {
  std::vector<int32_t> lower;
  std::vector<float> upper;
  // Output positions that read input i: [first[i], first[i + 1] of those with lower = i], so lower = i - 1 or i.
  std::vector<int64_t> first;

  Axis(int64_t in, int64_t out) : lower(static_cast<size_t>(out)), upper(static_cast<size_t>(out)) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    for (int64_t i = 0; i < out; ++i) {
      const double position = std::max((static_cast<double>(i) + 0.5) * scale - 0.5, 0.0);
      const int64_t below = std::min(static_cast<int64_t>(position), in - 1);
      lower[static_cast<size_t>(i)] = static_cast<int32_t>(below);
      upper[static_cast<size_t>(i)] = below == in - 1 ? 0.0F : static_cast<float>(position - static_cast<double>(below));
    }
    first.assign(static_cast<size_t>(in) + 1, out);
    for (int64_t i = out; i-- > 0;) first[static_cast<size_t>(lower[static_cast<size_t>(i)])] = i;
    for (int64_t i = in; i-- > 0;)
      first[static_cast<size_t>(i)] = std::min(first[static_cast<size_t>(i)], first[static_cast<size_t>(i) + 1]);
  }

  // Calls body(output position, weight) for every output position that reads input i, in order.
  template <typename Body>
  void readers(int64_t i, Body&& body) const {
    const auto at = [](int64_t position) { return static_cast<size_t>(position); };
    if (i > 0) {
      for (int64_t o = first[at(i - 1)]; o < first[at(i)]; ++o) {
        if (upper[at(o)] != 0.0F) body(o, upper[at(o)]);
      }
    }
    for (int64_t o = first[at(i)]; o < first[at(i + 1)]; ++o) body(o, 1.0F - upper[at(o)]);
  }
};

// y[o] between row[lower[o]] and row[lower[o] + 1]. Growing, the lanes of one vector read at most kLanes neighbours, so two
// loads and two permutations serve them.
template <typename T>
void stretch(const float* row, const Axis& axis, bool growing, int64_t width, T* y) {
  const int32_t* lower = axis.lower.data();
  const float* upper = axis.upper.data();
  int64_t o = 0;
#if defined(__AVX512F__)
  if (growing) {
    for (; o + kLanes <= width; o += kLanes) {
      const int32_t base = lower[o];
      const __m512i index = _mm512_sub_epi32(_mm512_loadu_si512(lower + o), _mm512_set1_epi32(base));
      const __m512 left = _mm512_permutexvar_ps(index, _mm512_loadu_ps(row + base));
      const __m512 right = _mm512_permutexvar_ps(index, _mm512_loadu_ps(row + base + 1));
      const __m512 weight = _mm512_loadu_ps(upper + o);
      store(y + o, std::bit_cast<vfloat>(_mm512_fmadd_ps(weight, _mm512_sub_ps(right, left), left)));
    }
  }
#elif defined(__AVX2__)
  if (growing) {
    for (; o + kLanes <= width; o += kLanes) {
      const int32_t base = lower[o];
      const __m256i stored = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lower + o));
      const __m256i index = _mm256_sub_epi32(stored, _mm256_set1_epi32(base));
      const __m256 left = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + base), index);
      const __m256 right = _mm256_permutevar8x32_ps(_mm256_loadu_ps(row + base + 1), index);
      const __m256 weight = _mm256_loadu_ps(upper + o);
      store(y + o, std::bit_cast<vfloat>(_mm256_fmadd_ps(weight, _mm256_sub_ps(right, left), left)));
    }
  }
#endif
  (void)growing;
  for (; o < width; ++o) {
    const float* pixel = row + lower[o];
    y[o] = T(pixel[0] + upper[o] * (pixel[1] - pixel[0]));
  }
}

}  // namespace

void run(const Bilinear& op, Stream& stream) {
  if (op.y.count() == 0) return;
  const int64_t in_height = op.x.shape[-2];
  const int64_t in_width = op.x.shape[-1];
  const Axis rows(in_height, op.height);
  const Axis columns(in_width, op.width);
  const bool growing = op.width >= in_width;
  // A row of the input's width, mixed from two, then the repeated last pixel and room for the loads past it.
  const int64_t row_size = in_width + 1 + kLanes;
  float* scratch = stream.scratch_of<float>(row_size * thread_count());
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const int64_t grain = kElementGrain / op.width + 1;
    parallel_ranges(op.y.count() / op.width, grain, [&](int64_t begin, int64_t end) {
      float* row = scratch + row_size * thread_index();
      std::memset(row, 0, static_cast<size_t>(row_size) * sizeof(float));
      for (int64_t line = begin; line < end; ++line) {
        const auto o = static_cast<size_t>(line % op.height);
        const T* below = op.x.data<T>() + (line / op.height * in_height + rows.lower[o]) * in_width;
        const T* above = rows.lower[o] + 1 < in_height ? below + in_width : below;
        const float weight = rows.upper[o];
        by_lanes(0, in_width, [&](int64_t i, auto... lanes) {
          const vfloat first = load(below + i, lanes...);
          store(row + i, first + weight * (load(above + i, lanes...) - first), lanes...);
        });
        row[in_width] = row[in_width - 1];
        stretch(row, columns, growing, op.width, op.y.data<T>() + line * op.width);
      }
    });
  });
}

void run(const BilinearBackward& op, Stream& stream) {
  if (op.dx.count() == 0) return;
  if (op.dy.count() == 0) {
    std::memset(op.dx.raw(), 0, static_cast<size_t>(op.dx.bytes()));
    return;
  }
  const int64_t in_height = op.x.shape[-2];
  const int64_t in_width = op.x.shape[-1];
  const Axis rows(in_height, op.height);
  const Axis columns(in_width, op.width);
  float* scratch = stream.scratch_of<float>(op.width * thread_count());
  by_dtype(op.x.dtype, [&]<typename T>(Type<T>) {
    const int64_t grain = kElementGrain / (op.width + in_width) + 1;
    parallel_ranges(op.dx.count() / in_width, grain, [&](int64_t begin, int64_t end) {
      float* row = scratch + op.width * thread_index();  // what the rows of dy give to one row of dx, still as wide as dy
      for (int64_t line = begin; line < end; ++line) {
        std::memset(row, 0, static_cast<size_t>(op.width) * sizeof(float));
        const T* dy = op.dy.data<T>() + line / in_height * op.height * op.width;
        rows.readers(line % in_height, [&](int64_t o, float weight) {
          const T* from = dy + o * op.width;
          by_lanes(0, op.width, [&](int64_t i, auto... lanes) {
            store(row + i, load(row + i, lanes...) + weight * load(from + i, lanes...), lanes...);
          });
        });
        T* dx = op.dx.data<T>() + line * in_width;
        for (int64_t i = 0; i < in_width; ++i) {
          float sum = 0;
          columns.readers(i, [&](int64_t o, float weight) { sum += weight * row[o]; });
          dx[i] = T(sum);
        }
      }
    });
  });
}

}  // namespace mglmm::cpu
