#include "cuda/simulator/hopper.h"

#include <algorithm>
#include <map>

#include "cuda/tensor_map.h"
#include "kernels/error.h"

namespace mglmm::simulator {
namespace {

constexpr int kInner = 16;    // of a product: the axis that is summed over
constexpr int kColumns = 64;  // of a row of a tile
constexpr int kRowBytes = 128;

// A box that is on its way.
struct Box {
  std::byte* to;
  TensorMap map;
  std::array<int64_t, 4> at;
};

// An mbarrier: the phase it is in ends when nobody and nothing is to come.
struct Phase {
  int arrivals;  // of a phase
  int to_come;
  int64_t bytes = 0;  // that are expected and not there
  int parity = 0;
  std::vector<Box> boxes;
};

struct GroupBarrier {
  int there = 0;
  int64_t opened = 0;
  // One more is there. Whether it is the last of those that are waited for.
  bool is_last(int threads) {
    if (++there < threads) return false;
    there = 0;
    ++opened;
    return true;
  }
};

using Numbers = std::vector<uint16_t>;

struct Pending {
  Product product;
  Numbers a, b;  // as they were when it was begun: two rows of a, the columns of b that the thread has
  int age;       // groups that were begun after its own; -1: it is in none yet
};

struct Accumulators {
  std::vector<float> values;
  int pending = 0;
};

struct Thread {
  bool fenced = false;
  std::vector<Pending> products;
  std::map<float*, Accumulators> accumulators;
};

struct Block {
  uint64_t serial = 0;
  std::map<const void*, Phase> phases;
  std::map<int, GroupBarrier> groups;
  std::map<unsigned, Thread> threads;
};

// Of the block that is running.
Block& block() {
  static Block block;
  if (block.serial != blocks_begun) block = {.serial = blocks_begun, .phases = {}, .groups = {}, .threads = {}};
  return block;
}

Thread& self() { return block().threads[thread_index.x]; }

std::byte* at_address(uint32_t address) { return dynamic_shared() + (address - kDynamicAddress); }

void require_inside(uint32_t address, size_t bytes, const Where& where) {
  if (address < kDynamicAddress || address - kDynamicAddress + bytes > grid.shared_bytes)
    fail("a tile beyond the shared memory of the block", where);
}

// The pattern goes by addresses: which 128 bytes they lie in says how the 16-byte pieces of those have changed places.
uint32_t swizzled(uint32_t address) { return address ^ (address >> 3 & 0x70); }

void land(const Box& box) {
  const TensorMap& map = box.map;
  const uint32_t base = shared_address(box.to);
  for (int i = 0; i < map.rows * kColumns; ++i) {
    const std::array<int64_t, 4> at = {box.at[0] + i % kColumns, box.at[1] + i / kColumns, box.at[2], box.at[3]};
    bool inside = true;
    int64_t offset = 0;
    for (size_t axis = 0; axis < 4; ++axis) {
      inside = inside && at[axis] >= 0 && at[axis] < map.sizes[axis];
      offset += at[axis] * map.strides[axis];
    }
    const uint16_t number = inside ? map.data[offset] : 0;
    std::memcpy(at_address(swizzled(base + static_cast<uint32_t>(2 * i))), &number, sizeof number);
  }
}

int64_t bytes_of(const TensorMap& map) { return int64_t{kRowBytes} * map.rows; }

void end_phase_if_complete(Phase& phase) {
  if (phase.to_come > 0) return;
  for (const Box& box : phase.boxes) {
    land(box);
    phase.bytes -= bytes_of(box.map);
  }
  phase.boxes.clear();
  if (phase.bytes != 0) return;
  phase.parity ^= 1;
  phase.to_come = phase.arrivals;
}

Phase& phase_of(const void* barrier, const Where& where) {
  const auto place = block().phases.find(barrier);
  if (place == block().phases.end()) fail("a barrier that is not initialised", where);
  return place->second;
}

// Number (row, k) of a matrix in shared memory; transposed where rows, not k, are neighbours. PTX ISA: "matrix descriptor".
uint16_t number_at(uint64_t matrix, bool transposed, int row, int k, const Where& where) {
  const auto units = [matrix](int first_bit) { return static_cast<uint32_t>(matrix >> first_bit & 0x3fff) << 4; };
  const uint32_t next_columns = units(16);
  const uint32_t next_8_rows = units(32);
  const auto [across, down] = transposed ? std::pair(row, k) : std::pair(k, row);
  const uint32_t address = swizzled(units(0) + static_cast<uint32_t>(across / kColumns) * next_columns +
                                    static_cast<uint32_t>(down / 8) * next_8_rows +
                                    static_cast<uint32_t>(down % 8 * kRowBytes + across % kColumns * 2));
  uint16_t number = 0;
  require_inside(address, sizeof number, where);
  std::memcpy(&number, at_address(address), sizeof number);
  return number;
}

int first_row() { return 16 * static_cast<int>(thread_index.x / kWarp % 4) + lane() / 4; }
int column_of(int i) { return i / 2 * 8 + 2 * (lane() % 4) + i % 2; }

Numbers rows_in_memory(uint64_t matrix, const Where& where) {
  Numbers numbers;
  for (int i = 0; i < 2 * kInner; ++i)
    numbers.push_back(number_at(matrix, false, first_row() + i / kInner * 8, i % kInner, where));
  return numbers;
}

// Each lane gives its four words: those of its rows, and of columns 2t, 2t + 1 and 8 beyond.
Numbers rows_in_registers(const uint32_t* a, const Where& where) {
  const auto all = exchange(0xffffffff, reinterpret_cast<uintptr_t>(a), where);
  Numbers numbers;
  for (int i = 0; i < 2 * kInner; ++i) {
    const int k = i % kInner;
    const auto owner = static_cast<size_t>(lane() / 4 * 4 + k / 2 % 4);
    const uint32_t word = reinterpret_cast<const uint32_t*>(all[owner])[i / kInner + k / 8 * 2];
    numbers.push_back(static_cast<uint16_t>(word >> (k % 2 * 16)));
  }
  exchange(0xffffffff, 0, where);  // others may still read this lane's
  return numbers;
}

Numbers columns_in_memory(const Product& product, const Where& where) {
  Numbers numbers;
  for (int i = 0; i < product.columns / 4; ++i) {
    for (int k = 0; k < kInner; ++k)
      numbers.push_back(number_at(product.b_matrix, product.b_transposed, column_of(i), k, where));
  }
  return numbers;
}

void finish(const Pending& pending, std::vector<float>& d) {
  const Product& product = pending.product;
  for (size_t i = 0; i < d.size(); ++i) {
    const size_t column = i / 4 * 2 + i % 2;
    const size_t row = i / 2 % 2;
    if (!product.accumulate) d[i] = 0;
    for (size_t k = 0; k < kInner; ++k)
      d[i] += product.value(pending.a[row * kInner + k]) * product.value(pending.b[column * kInner + k]);
  }
}

}  // namespace

uint32_t shared_address(const void* memory) {
  const auto offset = static_cast<const std::byte*>(memory) - dynamic_shared();
  return kDynamicAddress + static_cast<uint32_t>(offset);
}

void init_barrier(void* barrier, int arrivals) {
  block().phases[barrier] = {.arrivals = arrivals, .to_come = arrivals, .boxes = {}};
}

void arrive(void* barrier, const Where& where) {
  Phase& phase = phase_of(barrier, where);
  if (phase.to_come == 0) fail("a thread arrives at a barrier that expects nobody any more", where);
  if (--phase.to_come == 0 && phase.boxes.empty()) end_phase_if_complete(phase);
}

void expect_bytes(void* barrier, int bytes, const Where& where) {
  phase_of(barrier, where).bytes += bytes;
  arrive(barrier, where);
}

void wait(void* barrier, int parity, const Where& where) {
  Phase& phase = phase_of(barrier, where);
  const auto has_ended = [&phase, parity] {
    if (phase.parity == parity) end_phase_if_complete(phase);
    return phase.parity != parity;
  };
  wait_until(has_ended, "the phase of a barrier", where);
}

void load_box(void* to, const TensorMap& map, void* barrier, const int (&at)[4], const Where& where) {
  if (shared_address(to) % 1024 != 0) fail("a box is not aligned to the 1024 bytes of its pattern", where);
  require_inside(shared_address(to), static_cast<size_t>(bytes_of(map)), where);
  poison(to, static_cast<size_t>(bytes_of(map)));
  phase_of(barrier, where).boxes.push_back({static_cast<std::byte*>(to), map, {at[0], at[1], at[2], at[3]}});
}

void group_barrier(int id, int threads, const Where& where) {
  GroupBarrier& group = block().groups[id];
  if (!group.is_last(threads)) {
    wait_until([&group, before = group.opened] { return group.opened > before; }, "a group of threads", where);
  }
}

void group_arrive(int id, int threads) { block().groups[id].is_last(threads); }

void multiply_async(const Product& product, const Where& where) {
  if (thread_index.x / (4 * kWarp) * 4 * kWarp + 4 * kWarp > grid.threads.x) fail("a group of fewer than four warps", where);
  for (const uint64_t matrix : {product.a_matrix, product.b_matrix}) {
    for (const uint64_t other : exchange(0xffffffff, matrix, where)) {
      if (other != matrix) fail("lanes of a warp name different matrices", where);
    }
    if (matrix != 0 && matrix >> 49 != 1 << 13) fail("a matrix of another pattern than that of 128 bytes", where);
  }
  Thread& thread = self();
  if (!thread.fenced) fail("a product without a fence before it", where);
  Pending pending{product, {}, columns_in_memory(product, where), -1};
  pending.a = product.a == nullptr ? rows_in_memory(product.a_matrix, where) : rows_in_registers(product.a, where);
  const auto count = static_cast<size_t>(product.columns / 2);
  Accumulators& accumulators = thread.accumulators[product.d];
  if (accumulators.pending++ == 0) accumulators.values.assign(product.d, product.d + count);
  poison(product.d, count * sizeof(float));
  thread.products.push_back(std::move(pending));
}

void fence_products(const Where&) { self().fenced = true; }

void commit_products() {
  for (Pending& pending : self().products) ++pending.age;
}

void wait_for_products(int pending, const float* d, const Where& where) {
  wait_until_idle(where);
  Thread& thread = self();
  thread.fenced = false;
  for (const Pending& one : thread.products) {
    if (one.age < pending) continue;
    const bool same = one.b == columns_in_memory(one.product, where) &&
                      (one.product.a != nullptr || one.a == rows_in_memory(one.product.a_matrix, where));
    if (!same) fail("shared memory has changed while a product reads it", where);
    Accumulators& accumulators = thread.accumulators[one.product.d];
    finish(one, accumulators.values);
    if (--accumulators.pending > 0) continue;
    std::copy(accumulators.values.begin(), accumulators.values.end(), one.product.d);
    thread.accumulators.erase(one.product.d);
  }
  std::erase_if(thread.products, [&](const Pending& one) { return one.age >= pending; });
  for (const Pending& one : thread.products) {
    if (one.product.d == d) fail("accumulators are used before their products are there", where);
  }
}

}  // namespace mglmm::simulator

namespace mglmm::cuda {

TensorMap tensor_map(const void* data, const std::array<int64_t, 4>& sizes, const std::array<int64_t, 3>& strides,
                     int rows) {
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0) throw Error(kKernelError, "a tensor map is not aligned to 16 bytes");
  for (const int64_t stride : strides) {
    if (stride % 8 != 0) throw Error(kKernelError, "a tensor map has strides that are not aligned to 16 bytes");
  }
  for (const int64_t size : sizes) {
    if (size < 1) throw Error(kKernelError, "a tensor map is of nothing");
  }
  if (rows < 1 || rows > 256) throw Error(kKernelError, "a box of more than 256 rows");
  return {static_cast<const uint16_t*>(data), sizes, {1, strides[0], strides[1], strides[2]}, rows};
}

}  // namespace mglmm::cuda
