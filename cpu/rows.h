// Rows of a matrix by index: fetched, and added back.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "cpu/parallel.h"
#include "cpu/simd.h"
#include "kernels/error.h"
#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm::cpu {

// Throws ArgumentError at the first of `index` that is not in [0, limit): "embedding: ids[3] is 99, expected 0 to 12".
inline void expect_indices(const char* op, const char* name, const ConstTensor& index, int64_t limit) {
  const int32_t* values = index.data<int32_t>();
  for (int64_t i = 0; i < index.count(); ++i) {
    if (values[i] >= 0 && values[i] < limit) continue;
    throw Error(kArgumentError,
                std::string(op) + ": " + name + "[" + std::to_string(i) + "] is " + std::to_string(values[i]) +
                    (limit > 0 ? ", expected 0 to " + std::to_string(limit - 1) : ", expected none: there are no rows"));
  }
}

// y[i] = x[index[i]] for rows of `row_bytes`.
inline void gather_rows(const std::byte* x, const ConstTensor& index, std::byte* y, int64_t row_bytes) {
  if (row_bytes == 0) return;
  const int32_t* rows = index.data<int32_t>();
  parallel_ranges(index.count(), std::max<int64_t>(1, 4 * kElementGrain / row_bytes), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(y + i * row_bytes, x + rows[i] * row_bytes, static_cast<size_t>(row_bytes));
  });
}

// dx[row] = the sum over all i with index[i] == row of dy[i], added up in f32 in the order of i; 0 where there is none.
template <typename T>
void scatter_rows(const T* dy, const ConstTensor& index, T* dx, int64_t rows, int64_t dim, Stream& stream) {
  // Places sorted by row, those of one row in order (counting sort).
  const int32_t* row_of = index.data<int32_t>();
  const int64_t count = index.count();
  auto* starts = stream.scratch_of<int64_t>(rows + 1);
  auto* places = stream.scratch_of<int64_t>(std::max<int64_t>(count, 1));
  std::memset(starts, 0, static_cast<size_t>(rows + 1) * sizeof(int64_t));
  for (int64_t i = 0; i < count; ++i) ++starts[row_of[i]];
  int64_t total = 0;
  for (int64_t row = 0; row <= rows; ++row) {
    total += starts[row];
    starts[row] = total;  // one past the row's last place, and its first once the places are filled in
  }
  for (int64_t i = count; i-- > 0;) places[--starts[row_of[i]]] = i;
  float* sums = stream.scratch_of<float>(thread_count() * std::max<int64_t>(dim, 1));
  parallel_ranges(rows, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(dim, 1)), [=](int64_t begin, int64_t end) {
    float* sum = sums + thread_index() * dim;
    for (int64_t row = begin; row < end; ++row) {
      T* to = dx + row * dim;
      const int64_t first = starts[row];
      const int64_t last = starts[row + 1];
      if (first == last) {
        std::memset(static_cast<void*>(to), 0, static_cast<size_t>(dim) * sizeof(T));
        continue;
      }
      by_lanes(0, dim,
               [=](int64_t i, auto... lanes) { store(sum + i, load(dy + places[first] * dim + i, lanes...), lanes...); });
      for (int64_t place = first + 1; place < last; ++place) {
        const T* from = dy + places[place] * dim;
        by_lanes(0, dim, [=](int64_t i, auto... lanes) {
          store(sum + i, load(sum + i, lanes...) + load(from + i, lanes...), lanes...);
        });
      }
      by_lanes(0, dim, [=](int64_t i, auto... lanes) { store(to + i, load(sum + i, lanes...), lanes...); });
    }
  });
}

}  // namespace mglmm::cpu
