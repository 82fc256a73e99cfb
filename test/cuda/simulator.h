// What the tests of the simulator have in common.
#pragma once
#include <stdexcept>
#include <string>

#include "cuda/launch.cuh"

namespace mglmm::cuda {

inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error("simulator: " + what);
}

// That `kernel` fails with an error of which `part` is a part.
template <typename Kernel>
void require_failure(CudaStream& stream, Kernel kernel, int threads, const std::string& part) {
  try {
    launch(stream, kernel, {.threads = threads, .shared_bytes = 16 << 10});
  } catch (const Error& error) {
    require(error.is(kKernelError) && std::string(error.what()).find(part) != std::string::npos,
            "expected \"" + part + "\", got \"" + error.what() + "\"");
    return;
  }
  throw std::runtime_error("simulator: expected \"" + part + "\", got no error");
}

// The stand-ins for what sm_90a has.
void check_hopper(CudaStream& stream);
// What cuda/stream.cpp and cuda/graph.cpp make of its runtime.
void check_stream(CudaStream& stream);
// cuda/few_rows.cuh, as far as no result shows it.
void check_few_rows(CudaStream& stream);

}  // namespace mglmm::cuda
