// Loops over the stream's threads. OpenMP is named here and in backend.cpp only.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

namespace mglmm::cpu {

// Calls `body(begin, end)` over [0, count), split into one contiguous range a thread. Ranges smaller than `grain` are
// not worth waking a thread for: with `count <= grain` the caller's thread does it all. Results must not depend on the
// split: sums that cross ranges go through `sum_of_chunks`. What `body` throws reaches the caller.
template <typename Body>
void parallel_ranges(int64_t count, int64_t grain, Body&& body) {
  const int64_t wanted = (count + grain - 1) / std::max<int64_t>(grain, 1);
  const int threads = static_cast<int>(std::min<int64_t>(omp_get_max_threads(), wanted));
  if (threads <= 1 || omp_in_parallel()) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  std::exception_ptr error;
#pragma omp parallel num_threads(threads)
  {
    const int64_t thread = omp_get_thread_num();
    const int64_t team = omp_get_num_threads();
    const int64_t begin = count * thread / team;
    const int64_t end = count * (thread + 1) / team;
    try {
      if (begin < end) body(begin, end);
    } catch (...) {
#pragma omp critical(mglmm_parallel_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// Calls `body(i)` for every i in [0, count), handed out one at a time: for few, large or uneven pieces (heads, images).
template <typename Body>
void parallel_pieces(int64_t count, Body&& body) {
  const int threads = static_cast<int>(std::min<int64_t>(omp_get_max_threads(), count));
  if (threads <= 1 || omp_in_parallel()) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  std::exception_ptr error;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical(mglmm_parallel_error)
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// Threads a kernel may count on, and which of them is running: for scratch memory of one slice a thread.
inline int thread_count() { return omp_get_max_threads(); }
inline bool inside_parallel() { return omp_in_parallel() != 0; }
inline int thread_index() { return omp_get_thread_num(); }

// Elementwise work of under this many elements stays on one thread (waking the others costs about 5 us).
inline constexpr int64_t kElementGrain = 16384;

}  // namespace mglmm::cpu
