// The stand-ins for wgmma, TMA and mbarrier, each against a plain product or copy. Where numbers lie in shared memory is
// worked out here once more, from PTX's picture of the pattern of 128 bytes.
#include "cuda/hopper.cuh"

#include <algorithm>
#include <utility>
#include <vector>

#include "cuda/attention_order.cuh"
#include "simulator.h"

namespace mglmm::cuda {
namespace {

constexpr int kRows = 64, kInner = 64, kColumns = 128;
constexpr uint16_t kPoisonedHalves[2] = {simulator::kPoison & 0xffff, simulator::kPoison >> 16};

// Where number (row, column) of a tile of 64 columns lies: eight pieces of eight numbers to a row, and what is piece 0 of
// row 0, 1, 2 ... 7, 8 is in place 0, 1, 2 ... 7, 0, piece 1 in place 1, 0, 3 ... 6, 1, and so on.
int place_of(int row, int column) {
  const int order[8][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 3, 2, 5, 4, 7, 6}, {2, 3, 0, 1, 6, 7, 4, 5},
                           {3, 2, 1, 0, 7, 6, 5, 4}, {4, 5, 6, 7, 0, 1, 2, 3}, {5, 4, 7, 6, 1, 0, 3, 2},
                           {6, 7, 4, 5, 2, 3, 0, 1}, {7, 6, 5, 4, 3, 2, 1, 0}};
  return row * 64 + order[row % 8][column / 8] * 8 + column % 8;
}

// Dynamic shared memory from the first multiple of 1024 on.
__device__ uint16_t* tiles() {
  auto* const memory = dynamic_shared<std::byte>();
  return reinterpret_cast<uint16_t*>(memory + (-shared_address(memory) & 1023));
}

struct TwoBarriers {
  Barrier first, second;
};

// A box of 16 rows, as memory has it when it is asked for and when it is there.
__global__ void box_kernel(TensorMap map, uint16_t* early, uint16_t* late) {
  if (threadIdx.x > 0) return;
  Barrier* const barrier = &shared<TwoBarriers>().first;
  init_barrier(barrier, 1);
  fence_async();
  expect_bytes(barrier, 16 * 128);
  load_box(tiles(), map, barrier, {64, 12, 1, 1});
  std::copy_n(tiles(), 16 * 64, early);
  wait(barrier, 0);
  std::copy_n(tiles(), 16 * 64, late);
}

// [batch 2, heads 3, tokens 20, 128], of which tokens are the third axis in memory and rows are 8 numbers longer.
void check_boxes(CudaStream& stream) {
  constexpr int kHead = 136, kToken = 3 * kHead, kBatch = 20 * kToken;
  alignas(16) static uint16_t x[2 * kBatch];
  for (int i = 0; i < 2 * kBatch; ++i) x[i] = static_cast<uint16_t>(i + 1);
  std::vector<uint16_t> early(16 * 64), late(16 * 64);
  launch(stream, box_kernel, {.threads = 32, .shared_bytes = 4096},
         tensor_map(x, {128, 20, 3, 2}, {kToken, kHead, kBatch}, 16), early.data(), late.data());
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 64; ++column) {
      const int token = 12 + row;
      const uint16_t expected = token < 20 ? x[kBatch + kHead + token * kToken + 64 + column] : 0;
      require(late[place_of(row, column)] == expected, "a box comes in its pattern, 0 beyond the tensor");
    }
  }
  for (size_t i = 0; i < early.size(); ++i)
    require(early[i] == kPoisonedHalves[i % 2], "a box is not there before its phase ends");
}

// Numbers from warp 0 to the others, by way of one place that is filled and emptied in turn.
struct Handed {
  Barrier full, empty;
  int number;
};
__global__ void phases_kernel(int* out) {
  auto& handed = shared<Handed>();
  if (threadIdx.x == 0) {
    init_barrier(&handed.full, 1);
    init_barrier(&handed.empty, 64);
  }
  __syncthreads();
  for (int i = 0; i < 5; ++i) {
    if (threadIdx.x >= 32) {
      wait(&handed.full, i % 2);
      out[64 * i + static_cast<int>(threadIdx.x) - 32] = handed.number;
      arrive(&handed.empty);
    } else if (threadIdx.x == 0) {
      wait(&handed.empty, 1 - i % 2);
      handed.number = 10 + i;
      arrive(&handed.full);
    }
  }
}

// Two groups, of which each waits for its own threads only.
__global__ void groups_kernel(int* out) {
  auto& counts = *dynamic_shared<int[2]>();
  const int group = static_cast<int>(threadIdx.x) / 64;
  if (threadIdx.x % 64 == 0) counts[group] = 0;
  group_barrier(1 + group, 64);
  atomicAdd(&counts[group], 1 + group);
  group_barrier(1 + group, 64);
  out[threadIdx.x] = counts[group];
}

// Two groups in turn: what each finds is what the other has left.
__global__ void turns_kernel(int* out) {
  auto& number = *dynamic_shared<int>();
  const int group = static_cast<int>(threadIdx.x) / 64;
  if (threadIdx.x == 0) number = 0;
  __syncthreads();
  if (group == 1) group_arrive(1, 128);
  for (int i = 0; i < 3; ++i) {
    group_barrier(1 + group, 128);
    out[128 * i + static_cast<int>(threadIdx.x)] = number;
    group_barrier(3 + group, 64);
    if (threadIdx.x % 64 == 0) ++number;
    group_arrive(2 - group, 128);
  }
  if (group == 0) group_barrier(1, 128);
}

void check_barriers(CudaStream& stream) {
  std::vector<int> out(5 * 64);
  launch(stream, phases_kernel, {.threads = 96}, out.data());
  for (int i = 0; i < 5 * 64; ++i) require(out[i] == 10 + i / 64, "phases end in turn");
  launch(stream, groups_kernel, {.threads = 128, .shared_bytes = 16}, out.data());
  for (int i = 0; i < 128; ++i) require(out[i] == (i < 64 ? 64 : 128), "a group meets");
  out.assign(3 * 128, -1);
  launch(stream, turns_kernel, {.threads = 128, .shared_bytes = 16}, out.data());
  for (int i = 0; i < 3 * 128; ++i) require(out[i] == i / 64, "groups take turns");
}

// Shared memory as it is to be: a [64 rows, 64], b as [128 columns, 64], and v [64, 128] as two tiles of 64 columns.
template <typename T>
struct Images {
  T a[kRows * kInner], b[kColumns * kInner], v[kInner * kColumns];
};

template <int blocks>
__device__ void store(float* to, const float (&d)[blocks][4]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = static_cast<int>(threadIdx.x) / 32 * 16 + lane / 4;
  for (int n = 0; n < blocks; ++n) {
    for (int i = 0; i < 4; ++i) to[(row + i / 2 * 8) * 8 * blocks + 8 * n + 2 * (lane % 4) + i % 2] = d[n][i];
  }
}

// d = a b in shared memory; then from registers d + a v, and 1 + a v of the first 64 columns of v.
template <typename T>
__global__ void group_product_kernel(const Images<T>* images, const T* a, uint32_t* early, float* shared_product,
                                     float* register_product, float* narrow_product) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = static_cast<int>(threadIdx.x) / 32 * 16 + lane / 4;
  uint16_t* const memory = tiles();
  if (threadIdx.x == 0) std::memcpy(memory, images, sizeof *images);
  fence_async();
  __syncthreads();
  const uint16_t* const b = memory + kRows * kInner;
  const uint16_t* const v = b + kColumns * kInner;
  float d[16][4], narrow[8][4];
  for (auto& block : narrow) std::fill(block, block + 4, 1.0F);
  fence_products(d);
  for (int k = 0; k < kInner; k += 16) multiply_async<T>(d, matrix_at(memory + k, 0), matrix_at(b + k, 0), k > 0);
  commit_products();
  std::memcpy(&early[threadIdx.x], &d[3][1], sizeof(float));
  wait_for_products<0>(d);
  store(shared_product, d);
  fence_products(narrow);
  for (int k = 0; k < kInner; k += 16) {
    uint32_t own[4];
    for (int i = 0; i < 4; ++i)
      std::memcpy(&own[i], a + (row + i % 2 * 8) * kInner + k + i / 2 * 8 + 2 * (lane % 4), sizeof own[i]);
    multiply_async<T>(d, own, matrix_at(v + 64 * k, 64 * kInner * 2));
    multiply_async<T>(narrow, own, matrix_at(v + 64 * k, 0));
  }
  commit_products();
  wait_for_products<0>(d);
  store(register_product, d);
  store(narrow_product, narrow);
}

template <typename T>
void check_group_product(CudaStream& stream) {
  const auto number = [](int i, int step, int period) { return T(static_cast<float>(i * step % period - period / 2)); };
  T a[kRows * kInner], b[kInner * kColumns], v[kInner * kColumns];
  static Images<T> images;
  for (int i = 0; i < kRows * kInner; ++i) {
    a[i] = number(i, 7, 23);
    images.a[place_of(i / kInner, i % kInner)] = a[i];
  }
  for (int i = 0; i < kInner * kColumns; ++i) {
    const int k = i / kColumns, column = i % kColumns;
    b[i] = number(i, 5, 19);
    v[i] = number(i, 11, 29);
    images.b[place_of(column, k)] = b[i];
    images.v[column / 64 * 64 * kInner + place_of(k, column % 64)] = v[i];
  }
  std::vector<uint32_t> early(128);
  std::vector<float> first(kRows * kColumns), second(kRows * kColumns), narrow(kRows * 64);
  launch(stream, group_product_kernel<T>, {.threads = 128, .shared_bytes = sizeof images + 1024}, &images, a, early.data(),
         first.data(), second.data(), narrow.data());
  for (const uint32_t word : early) require(word == simulator::kPoison, "a product is not there before it is waited for");
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kColumns; ++column) {
      float by_b = 0, by_v = 0;
      for (int k = 0; k < kInner; ++k) {
        by_b += static_cast<float>(a[row * kInner + k]) * static_cast<float>(b[k * kColumns + column]);
        by_v += static_cast<float>(a[row * kInner + k]) * static_cast<float>(v[k * kColumns + column]);
      }
      require(first[row * kColumns + column] == by_b, "products of a group, both from shared memory");
      require(second[row * kColumns + column] == by_b + by_v, "products of a group, one from registers");
      if (column < 64) require(narrow[row * 64 + column] == 1 + by_v, "products of a group, 64 columns");
    }
  }
}

__global__ void product_without_fence() {
  float d[8][4];
  multiply_async<bf16>(d, {0, 0, 0, 0}, matrix_at(tiles(), 0));
}
__global__ void product_of_changed_memory() {
  float d[8][4];
  fence_products(d);
  multiply_async<bf16>(d, {0, 0, 0, 0}, matrix_at(tiles(), 0));
  commit_products();
  tiles()[threadIdx.x] = 1;
  wait_for_products<0>(d);
}
__global__ void product_of_released_memory() {
  Barrier* const barrier = &shared<TwoBarriers>().first;
  if (threadIdx.x == 0) init_barrier(barrier, 128);
  __syncthreads();
  if (threadIdx.x < 128) {
    float d[8][4];
    fence_products(d);
    multiply_async<bf16>(d, {0, 0, 0, 0}, matrix_at(tiles(), 0));
    commit_products();
    arrive(barrier);
    wait_for_products<0>(d);
  } else {
    wait(barrier, 0);
    tiles()[threadIdx.x] = 1;
  }
}
__global__ void product_used_early() {
  float d[8][4];
  fence_products(d);
  multiply_async<bf16>(d, {0, 0, 0, 0}, matrix_at(tiles(), 0));
  commit_products();
  wait_for_products<1>(d);
}
__global__ void product_beyond_memory() {
  float d[8][4];
  fence_products(d);
  multiply_async<bf16>(d, {0, 0, 0, 0}, matrix_at(tiles() + 8 * 1024, 0));
}
__global__ void phase_that_never_ends() {
  Barrier* const barrier = &shared<TwoBarriers>().first;
  if (threadIdx.x == 0) init_barrier(barrier, 2);
  __syncthreads();
  if (threadIdx.x == 0) arrive(barrier);
  wait(barrier, 0);
}
__global__ void group_that_never_meets() { group_barrier(1, 64); }
__global__ void barrier_of_nobody() { arrive(&shared<TwoBarriers>().second); }

// Five heads of three tiles, two heads at once.
void check_order() {
  std::vector<std::pair<int, int>> places;
  for (int block = 0; block < 5 * 3; ++block) {
    const auto [head, tile] = AttentionOrder{3, 5, 2}.at(block);
    places.emplace_back(head, tile);
  }
  const std::vector<std::pair<int, int>> expected = {{0, 2}, {1, 2}, {0, 1}, {1, 1}, {0, 0}, {1, 0}, {2, 2}, {3, 2},
                                                     {2, 1}, {3, 1}, {2, 0}, {3, 0}, {4, 2}, {4, 1}, {4, 0}};
  require(places == expected, "the last tiles of some heads come first");
}

}  // namespace

void check_hopper(CudaStream& stream) {
  check_order();
  check_boxes(stream);
  check_barriers(stream);
  check_group_product<bf16>(stream);
  check_group_product<f16>(stream);
  require_failure(stream, product_without_fence, 128, "a product without a fence");
  require_failure(stream, product_without_fence, 96, "fewer than four warps");
  require_failure(stream, product_of_changed_memory, 128, "shared memory has changed while a product reads it");
  require_failure(stream, product_of_released_memory, 160, "shared memory has changed while a product reads it");
  require_failure(stream, product_used_early, 128, "used before their products are there");
  require_failure(stream, product_beyond_memory, 128, "beyond the shared memory of the block");
  require_failure(stream, phase_that_never_ends, 32, "waits for the phase of a barrier");
  require_failure(stream, group_that_never_meets, 32, "waits for a group of threads");
  require_failure(stream, barrier_of_nobody, 32, "a barrier that is not initialised");
}

}  // namespace mglmm::cuda
