// How a kernel is launched, and where it finds shared memory: on a GPU, or in the simulator. No bare <<<>>> anywhere.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>

#include "cuda/stream.h"
#if defined(MGLMM_SIMULATED)
#include "cuda/simulator/device.h"
#endif

namespace mglmm::cuda {

// Blocks of `threads`, a multiple of 32, along three axes, of which y and z take at most 65535.
struct Grid {
  int64_t blocks = 1;
  int threads = 256;
  int64_t y = 1, z = 1;
  int64_t shared_bytes = 0;  // what dynamic_shared points to
  // The kernel may begin while the one in front of it on the stream still runs, where the device can: begin_early().
  bool early = false;
};

#if !defined(MGLMM_SIMULATED)
// Lets blocks of `kernel` have that much shared memory, on the device of this thread. What a kernel may have is that of all
// streams: one that asks for less does not take from another that is about to launch, and who asks again does not wait.
inline void allow_shared(CudaStream& stream, const void* kernel, int64_t bytes) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, int64_t> allowed;
  int device = 0;
  expect(cudaGetDevice(&device), "asking for the device");
  const std::lock_guard lock(mutex);
  int64_t& most = allowed[{device, kernel}];
  if (bytes <= most) return;
  const auto most_bytes = static_cast<int>(bytes);
  stream.expect_enqueued(
      [&] { return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most_bytes); },
      "asking for shared memory");
  most = bytes;
}

// Whether `kernel` can begin early on the device of this thread: what is compiled for older ones would not wait. All that
// can are told the most shared memory there is: a multiprocessor divides its memory anew only when nothing runs there, so
// that a kernel which wants it otherwise than the one in front would begin late.
inline bool can_be_early(CudaStream& stream, const void* kernel) {
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, bool> known;
  int device = 0;
  expect(cudaGetDevice(&device), "asking for the device");
  const std::lock_guard lock(mutex);
  const auto place = known.find({device, kernel});
  if (place != known.end()) return place->second;
  cudaFuncAttributes attributes{};
  stream.expect_enqueued([&] { return cudaFuncGetAttributes(&attributes, kernel); }, "asking what a kernel is compiled for");
  const bool can = attributes.ptxVersion >= 90;
  if (can) {
    expect(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared),
           "asking for shared memory");
  }
  known[{device, kernel}] = can;
  return can;
}
#endif

// Enqueues `kernel(arguments...)`. A grid without blocks is nothing to do. Throws KernelError.
template <typename... Parameters, typename... Arguments>
void launch(CudaStream& stream, void (*kernel)(Parameters...), const Grid& grid, Arguments&&... arguments) {
  if (grid.blocks * grid.y * grid.z == 0) return;
  if (grid.blocks > INT32_MAX || grid.y > UINT16_MAX || grid.z > UINT16_MAX) {
    throw Error(kKernelError, "more blocks than a GPU takes: " + std::to_string(grid.blocks) + " x " +
                                  std::to_string(grid.y) + " x " + std::to_string(grid.z));
  }
  const dim3 blocks{static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z)};
#if defined(MGLMM_SIMULATED)
  const simulator::Grid simulated{blocks, dim3{static_cast<unsigned>(grid.threads)}, static_cast<size_t>(grid.shared_bytes)};
  const auto run = [simulated, kernel, ... values = static_cast<Parameters>(arguments)] {
    simulator::run_grid(simulated, [&] { kernel(values...); });
  };
  const auto enqueue = [&, to = stream.handle()] { return launch_simulated(to, run); };
#else
  if (grid.shared_bytes > 48 << 10) allow_shared(stream, reinterpret_cast<const void*>(kernel), grid.shared_bytes);
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = static_cast<size_t>(grid.shared_bytes);
  config.stream = stream.handle();
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &early;
  config.numAttrs = grid.early && can_be_early(stream, reinterpret_cast<const void*>(kernel)) ? 1 : 0;
  const auto enqueue = [&] { return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...); };
#endif
  stream.expect_enqueued(enqueue, "launching a kernel");
}

// Every thread of a kernel that is launched `early` calls both, first of all, also one that has nothing to do. The kernel
// behind begins once all blocks of this one run; it waits for all that was launched before it as well, whatever that waits
// for.
__device__ __forceinline__ void let_next_begin() {
#if !defined(MGLMM_SIMULATED) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

// Until all that was launched before is done. What may be read before is what CudaStream::is_settled.
__device__ __forceinline__ void wait_for_previous() {
#if !defined(MGLMM_SIMULATED) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

__device__ __forceinline__ void begin_early() {
  let_next_begin();
  wait_for_previous();
}

// A value in shared memory that the threads of a block have in common: one of each type T in a kernel, so give it a type of
// its own. It is not initialised.
template <typename T>
__device__ T& shared() {
#if defined(MGLMM_SIMULATED)
  static char key;
  return *reinterpret_cast<T*>(simulator::static_shared(&key, sizeof(T)));
#else
  __shared__ T value;
  return value;
#endif
}

// The launch's shared_bytes, aligned to 16.
template <typename T>
__device__ T* dynamic_shared() {
#if defined(MGLMM_SIMULATED)
  return reinterpret_cast<T*>(simulator::dynamic_shared());
#else
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
#endif
}

inline int64_t blocks_for(int64_t count, int64_t per_block) { return (count + per_block - 1) / per_block; }

}  // namespace mglmm::cuda
