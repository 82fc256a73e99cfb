#include "kernels/bilinear.h"

#include <cstring>
#include <vector>

#include "cpu/interpolate.h"
#include "cpu/parallel.h"
#include "kernels/stream.h"

namespace mglmm::cpu {
namespace {

// Which output positions read an input.
struct Axis : Positions {
  // Output positions with lower = i are [first[i], first[i + 1]); those that read input i have lower = i - 1 or i.
  std::vector<int64_t> first;

  Axis(int64_t in, int64_t out) : Positions(in, out) {
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

}  // namespace

void run(const Bilinear& op, Stream& stream) {
  if (op.y.count() == 0) return;
  const int64_t in_height = op.x.shape[-2];
  const int64_t in_width = op.x.shape[-1];
  const Positions rows(in_height, op.height);
  const Positions columns(in_width, op.width);
  const int64_t row_size = stretchable(in_width);
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
        mix_rows(below, above, rows.upper[o], 0, in_width, in_width, row);
        T* y = op.y.data<T>() + line * op.width;
        stretch(row, columns, 0, op.width, [y](int64_t i, auto value) {
          if constexpr (sizeof value == sizeof(float))
            y[i] = T(value);
          else
            store(y + i, value);
        });
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
