// Runs a kernel as CUDA would, on one thread of the host: blocks one after another, the threads of a block as fibers that
// meet at barriers and, within a warp, in exchanges. What has no defined result on a GPU is an error here: a barrier that
// part of a block passes by, a lane that does not come.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>
#include <vector>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

namespace mglmm::simulator {

inline constexpr int kWarp = 32;
// Memory that nobody has written, in words: NaN as f32, bf16 and f16, far out of range as an index.
inline constexpr uint32_t kPoison = 0x7fa77fa7;

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;  // of dynamic shared memory
};

// Of the thread that is running.
inline uint3 thread_index, block_index;
inline Grid grid;
inline uint64_t blocks_begun = 0;  // in all grids

// Runs `kernel` once a thread of `which`. MGLMM_SIMULATOR_ORDER, a number from 1, takes blocks, warps and lanes in an order
// that the number decides: what comes out differently has a race. Throws KernelError.
void run_grid(const Grid& which, const std::function<void()>& kernel);

// Until every thread of the block is there. `where` names the barrier.
void barrier(const std::source_location& where);
// Until `holds`, which is asked when nothing else moves. `what` is what for, in a complaint that it never does.
void wait_until(std::function<bool()> holds, const char* what, const std::source_location& where);
// Until nothing else in the block can go on: for what comes as late as it may.
void wait_until_idle(const std::source_location& where);
// Until every lane of `mask` is there, each with a value; gives all of them, by lane.
const std::array<uint64_t, kWarp>& exchange(uint32_t mask, uint64_t value, const std::source_location& where);
int lane();
// Asynchronous copies of 16 bytes of the running thread that it has not waited for.
struct Copy {
  void* to;
  const void* from;  // null: zeros
  int age;           // groups that were begun after its own; -1: it is in none yet
};
std::vector<Copy>& copies();
[[noreturn]] void fail(const char* what, const std::source_location& where);

// Shared memory of the running block: dynamic, and `bytes` that belong to `key`.
std::byte* dynamic_shared();
std::byte* static_shared(const void* key, size_t bytes);
void poison(void* memory, size_t bytes);

}  // namespace mglmm::simulator
