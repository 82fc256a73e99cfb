// What the simulator promises: every thread runs, threads meet, values cross a warp, memory nobody wrote is poisoned, and
// what a GPU would hang or go wrong on is an error. Ends with 0, or with what does not hold. scripts/test_simulated.js runs
// it.
#include "simulator.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "cuda/reduce.cuh"
#include "cuda/tensor_cores.cuh"

namespace mglmm::cuda {
namespace {

__global__ void index_kernel(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x + threadIdx.x] += static_cast<int>(block * 1000 + threadIdx.x);
}

// Each thread's value goes once around the block, through shared memory.
struct Ring {
  int values[96];
};
__global__ void ring_kernel(int* out) {
  auto& ring = shared<Ring>();
  const unsigned self = threadIdx.x;
  int value = static_cast<int>(self);
  for (unsigned step = 0; step < blockDim.x; ++step) {
    ring.values[(self + 1) % blockDim.x] = value;
    __syncthreads();
    value = ring.values[self];
    __syncthreads();
  }
  out[blockIdx.x * blockDim.x + self] = value;
}

__global__ void warp_kernel(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  out[lane] = __shfl_sync(kAllLanes, lane * 2, 5);
  out[32 + lane] = __shfl_xor_sync(kAllLanes, lane, 3);
  out[64 + lane] = __shfl_down_sync(kAllLanes, lane, 30);
  out[96 + lane] = __shfl_up_sync(kAllLanes, lane, 1, 8);
  out[128 + lane] = static_cast<int>(__ballot_sync(kAllLanes, lane % 3 == 0));
  out[160 + lane] = __any_sync(kAllLanes, lane == 40) + 2 * __all_sync(kAllLanes, lane < 32);
  // Halves of a warp, each with its own mask.
  out[192 + lane] = lane < 16 ? __shfl_xor_sync(0xffff, lane, 1) : __shfl_xor_sync(0xffff0000, lane, 2);
}

__global__ void sum_kernel(float* out) {
  const float total = block_sum(static_cast<float>(threadIdx.x));
  const float largest = block_max(-static_cast<float>(threadIdx.x));
  out[threadIdx.x] = total + largest;
}

struct Unwritten {
  uint32_t words[2];
};
__global__ void poison_kernel(uint32_t* out) {
  const auto& unwritten = shared<Unwritten>();
  if (threadIdx.x == 0) {
    out[blockIdx.x * 2] = unwritten.words[1];
    out[blockIdx.x * 2 + 1] = dynamic_shared<uint32_t>()[3];
    shared<Unwritten>().words[1] = 1;
    dynamic_shared<uint32_t>()[3] = 1;
  }
}

__global__ void atomic_kernel(int* sum, int* least, int* most) {
  atomicAdd(sum, 1);
  atomicMin(least, static_cast<int>(threadIdx.x) - 7);
  atomicMax(most, static_cast<int>(threadIdx.x));
}

// Fragments of a [16, 16] and b [16, 8], as rows of numbers, by way of shared memory and by hand; their product; and b
// again, by columns.
template <typename T>
__global__ void product_kernel(const T* a, const T* b, const T* b_columns, float* d, float* again) {
  const int lane = static_cast<int>(threadIdx.x);
  T* const memory = dynamic_shared<T>();
  copy_async(memory + lane * 8, a + lane * 8, true);
  commit_copies();
  copy_async(memory + 256 + lane % 16 * 8, b + lane % 16 * 8, true);
  commit_copies();
  copy_async(memory + 384 + lane % 16 * 8, b_columns + lane % 16 * 8, true);
  commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  uint32_t left[4], right[4], columns[4];
  load_matrices(left, memory + lane % 16 * 16 + lane / 16 * 8);
  load_matrices_transposed(right, memory + 256 + lane % 16 * 8);
  load_matrices(columns, memory + 384 + lane % 8 * 16 + lane / 8 % 2 * 8);
  float product[4] = {1, 2, 3, 4};
  multiply_add<T>(product, left, {right[0], right[1]});
  float other[4] = {1, 2, 3, 4};
  multiply_add<T>(other, left, {columns[0], columns[1]});
  for (int i = 0; i < 4; ++i) {
    const int place = (lane / 4 + 8 * (i / 2)) * 8 + 2 * (lane % 4) + i % 2;
    d[place] = product[i];
    again[place] = other[i];
  }
}

template <typename T>
void check_product(CudaStream& stream) {
  alignas(16) T a[256], b[128], b_columns[128];
  for (int i = 0; i < 256; ++i) a[i] = T(static_cast<float>(i * 7 % 23 - 11));
  for (int i = 0; i < 128; ++i) {
    b[i] = T(static_cast<float>(i * 5 % 19 - 9));
    b_columns[i % 8 * 16 + i / 8] = b[i];
  }
  std::vector<float> d(128), again(128);
  launch(stream, product_kernel<T>, {.threads = 32, .shared_bytes = 1024}, a, b, b_columns, d.data(), again.data());
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      auto expected = static_cast<float>(1 + column % 2 + 2 * (row / 8));
      for (int k = 0; k < 16; ++k) expected += static_cast<float>(a[row * 16 + k]) * static_cast<float>(b[k * 8 + column]);
      require(d[row * 8 + column] == expected && again[row * 8 + column] == expected, "products of fragments");
    }
  }
}

// What is in shared memory of copies in three groups, each time all but so many are waited for; then zeros.
__global__ void copies_kernel(const uint32_t* from, uint32_t* out) {
  if (threadIdx.x > 0) return;
  auto* memory = dynamic_shared<uint32_t>();
  for (int group = 0; group < 3; ++group) {
    copy_async(memory + 4 * group, from + 4 * group, true);
    commit_copies();
  }
  wait_for_copies<2>();
  for (int i = 0; i < 3; ++i) out[i] = memory[4 * i];
  wait_for_copies<1>();
  for (int i = 0; i < 3; ++i) out[3 + i] = memory[4 * i];
  copy_async(memory, from, false);
  wait_for_copies<0>();
  for (int i = 0; i < 3; ++i) out[6 + i] = memory[4 * i];
  commit_copies();
  wait_for_copies<0>();
  out[9] = memory[0];
}

__global__ void unaligned_copy() { copy_async(dynamic_shared<std::byte>() + 4, nullptr, false); }

// A race: the last writer wins. What comes out depends on the order of blocks and warps.
__global__ void race_kernel(int* out) { out[0] = static_cast<int>(blockIdx.x * 1000 + threadIdx.x); }

__global__ void divergent_barrier() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void passed_barrier() {
  if (threadIdx.x == 3) return;
  __syncthreads();
}
__global__ void missing_lane() {
  if (threadIdx.x != 3) __syncwarp();
}
__global__ void lane_elsewhere() {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __syncthreads();
}
__global__ void mixed_masks() { __shfl_sync(threadIdx.x < 4 ? 0xffU : kAllLanes, 1, 0); }
__global__ void foreign_lane() {
  if (threadIdx.x < 16) __shfl_xor_sync(0xffff, 1, 16);
}

void check_all() {
  CudaStream stream(0);
  std::vector<int> out(24 * 64);
  launch(stream, index_kernel, {.blocks = 2, .threads = 64, .y = 3, .z = 4}, out.data());
  for (int i = 0; i < 24 * 64; ++i) require(out[i] == i / 64 * 1000 + i % 64, "every thread runs once");

  launch(stream, ring_kernel, {.blocks = 3, .threads = 96}, out.data());
  for (int i = 0; i < 3 * 96; ++i) require(out[i] == i % 96, "barriers order shared memory");

  launch(stream, warp_kernel, {.threads = 32}, out.data());
  for (int lane = 0; lane < 32; ++lane) {
    require(out[lane] == 10, "shfl");
    require(out[32 + lane] == (lane ^ 3), "shfl_xor");
    require(out[64 + lane] == (lane < 2 ? lane + 30 : lane), "shfl_down");
    require(out[96 + lane] == (lane % 8 == 0 ? lane : lane - 1), "shfl_up");
    require(static_cast<uint32_t>(out[128 + lane]) == 0x49249249, "ballot");
    require(out[160 + lane] == 2, "any, all");
    require(out[192 + lane] == (lane < 16 ? lane ^ 1 : lane ^ 2), "shfl of halves");
  }

  for (const int threads : {32, 64, 1024}) {
    std::vector<float> sums(1024);
    launch(stream, sum_kernel, {.threads = threads}, sums.data());
    for (int i = 0; i < threads; ++i) {
      require(sums[static_cast<size_t>(i)] == static_cast<float>(threads * (threads - 1) / 2), "sums of a block");
    }
  }

  std::vector<uint32_t> words(6);
  launch(stream, poison_kernel, {.blocks = 3, .threads = 32, .shared_bytes = 16}, words.data());
  for (const uint32_t word : words) require(word == simulator::kPoison, "shared memory is poisoned before each block");
  std::byte* fresh = stream.scratch(8);
  require(*reinterpret_cast<const uint32_t*>(fresh) == simulator::kPoison, "memory is poisoned");
  stream.keep_scratch(0);

  int sum = 0, least = 0, most = 0;
  launch(stream, atomic_kernel, {.blocks = 5, .threads = 96}, &sum, &least, &most);
  require(sum == 480 && least == -7 && most == 95, "atomics");

  check_product<bf16>(stream);
  check_product<f16>(stream);
  alignas(16) const uint32_t numbers[12] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0};
  std::vector<uint32_t> copied(10);
  launch(stream, copies_kernel, {.threads = 32, .shared_bytes = 48}, numbers, copied.data());
  const uint32_t none = simulator::kPoison;
  require(copied == std::vector<uint32_t>{1, none, none, 1, 2, none, 1, 2, 3, 0}, "copies come when they are waited for");

  check_hopper(stream);
  check_stream(stream);
  check_few_rows(stream);

  require_failure(stream, unaligned_copy, 32, "not aligned to 16 bytes");
  require_failure(stream, divergent_barrier, 64, "waits at the barrier of");
  require_failure(stream, passed_barrier, 64, "thread (3, 0, 0) has ended");
  require_failure(stream, missing_lane, 32, "a lane of the mask has ended");
  require_failure(stream, lane_elsewhere, 32, "waits at the barrier of");
  require_failure(stream, mixed_masks, 32, "lanes of one mask are in different places");
  require_failure(stream, foreign_lane, 32, "taken from a lane that is not in the mask");
  require_failure(stream, passed_barrier, 33, "a block of 33 threads");
  launch(stream, sum_kernel, {.threads = 64}, std::vector<float>(64).data());  // all is well again

  std::vector<int> winners;
  for (const char* order : {"1", "2", "3", "4", "5"}) {
    setenv("MGLMM_SIMULATOR_ORDER", order, 1);
    launch(stream, race_kernel, {.blocks = 7, .threads = 64}, out.data());
    winners.push_back(out[0]);
  }
  unsetenv("MGLMM_SIMULATOR_ORDER");
  require(std::any_of(winners.begin(), winners.end(), [&](int winner) { return winner != winners[0]; }),
          "another order brings a race out");
}

}  // namespace
}  // namespace mglmm::cuda

int main() { mglmm::cuda::check_all(); }
