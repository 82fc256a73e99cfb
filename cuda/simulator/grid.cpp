#include "cuda/simulator/grid.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "cuda/simulator/fiber.h"
#include "kernels/error.h"

namespace mglmm::simulator {
namespace {

enum class State { unstarted, running, at_barrier, in_exchange, waiting, idle, done };

struct Thread {
  State state = State::unstarted;
  Fiber* fiber = nullptr;
  uint3 index{};
  std::source_location where;
  std::function<bool()> holds;  // what it waits for, and its name
  const char* what = nullptr;
  uint32_t mask = 0;  // of the exchange it is in
  std::array<uint64_t, kWarp> values{};
  std::vector<Copy> copies;
};

// One kernel runs at a time, so its state is the process's.
struct Machine {
  std::mutex mutex;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  std::vector<Thread> threads;
  std::vector<int> warp_order, lane_order;
  int current = 0;  // thread
  int warp = 0;     // that is being run
  const std::function<void()>* kernel = nullptr;
  std::string failure;
  std::unique_ptr<std::byte[]> dynamic;
  struct Static {
    std::unique_ptr<std::byte[]> memory;
    size_t bytes;
  };
  std::map<const void*, Static> statics;
};

Machine& machine() {
  static auto* machine = new Machine;  // never destroyed: kernels may run until the process ends
  return *machine;
}

uint3 place_of(unsigned index, const dim3& of) { return {index % of.x, index / of.x % of.y, index / of.x / of.y}; }
size_t count_of(const dim3& of) { return size_t{of.x} * of.y * of.z; }
std::string to_string(const uint3& at) {
  return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) + ")";
}
std::string to_string(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

void make_current(int index) {
  Machine& m = machine();
  m.current = index;
  thread_index = m.threads[static_cast<size_t>(index)].index;
}

// A thread of the running warp that has not begun; -1 when all have, or the kernel has failed.
int next_unstarted() {
  Machine& m = machine();
  if (!m.failure.empty()) return -1;
  for (const int lane : m.lane_order) {
    const int index = m.warp * kWarp + lane;
    if (m.threads[static_cast<size_t>(index)].state == State::unstarted) return index;
  }
  return -1;
}

// A fiber runs one thread after another for as long as none of them has to wait.
void fiber_body(Fiber& fiber) {
  Machine& m = machine();
  for (;;) {
    for (int index = next_unstarted(); index >= 0; index = next_unstarted()) {
      Thread& thread = m.threads[static_cast<size_t>(index)];
      thread.state = State::running;
      thread.fiber = &fiber;
      make_current(index);
      (*m.kernel)();
      m.threads[static_cast<size_t>(m.current)].state = State::done;
    }
    m.idle.push_back(&fiber);
    fiber.leave();
  }
}

// The running thread stops here until the scheduler says that it may go on.
void wait_as(State state, const std::source_location& where) {
  Machine& m = machine();
  const int index = m.current;
  Thread& thread = m.threads[static_cast<size_t>(index)];
  thread.state = state;
  thread.where = where;
  thread.fiber->leave();
  make_current(index);
}

void run_warp(int warp) {
  Machine& m = machine();
  m.warp = warp;
  for (bool moved = true; moved && m.failure.empty();) {
    moved = false;
    if (next_unstarted() >= 0) {
      if (m.idle.empty()) {
        m.fibers.push_back(std::make_unique<Fiber>(fiber_body));
        m.idle.push_back(m.fibers.back().get());
      }
      Fiber* fiber = m.idle.back();
      m.idle.pop_back();
      fiber->enter();
      moved = true;
    }
    for (const int lane : m.lane_order) {
      Thread& thread = m.threads[static_cast<size_t>(warp * kWarp + lane)];
      if (thread.state != State::running || !m.failure.empty()) continue;
      thread.fiber->enter();
      moved = true;
    }
  }
}

// Those that wait as `state` and may go on, do. Whether there are any.
bool let_go(State state) {
  bool moved = false;
  for (Thread& thread : machine().threads) {
    if (thread.state != state || (state == State::waiting && !thread.holds())) continue;
    thread.state = State::running;
    moved = true;
  }
  return moved;
}

// Nothing moves any more. Lets go on what waits for something that holds by now or for nothing to move, else opens the
// barrier that all wait at, or says why there is none.
bool open_barrier() {
  Machine& m = machine();
  if (let_go(State::waiting) || let_go(State::idle)) return true;
  const Thread* first = nullptr;
  const Thread* other = nullptr;
  for (const Thread& thread : m.threads) {
    if (first == nullptr && thread.state != State::done) first = &thread;
  }
  if (first == nullptr) return false;
  for (const Thread& thread : m.threads) {
    const bool together = thread.state == first->state && thread.where.line() == first->where.line() &&
                          std::strcmp(thread.where.file_name(), first->where.file_name()) == 0;
    if (!together || thread.state != State::at_barrier) other = &thread;
  }
  if (other == nullptr) {
    for (Thread& thread : m.threads) thread.state = State::running;
    return true;
  }
  const auto describe = [](const Thread& thread) {
    const std::string who = "thread " + to_string(thread.index);
    if (thread.state == State::done) return who + " has ended";
    if (thread.state == State::waiting) return who + " waits for " + thread.what + " at " + to_string(thread.where);
    const char* how = thread.state == State::at_barrier ? " waits at the barrier of " : " waits for lanes of its warp at ";
    return who + how + to_string(thread.where);
  };
  m.failure = "block " + to_string(block_index) + " cannot go on: " + describe(*first) + ", " + describe(*other);
  return false;
}

void run_block() {
  Machine& m = machine();
  ++blocks_begun;
  for (auto& [_, one] : m.statics) poison(one.memory.get(), one.bytes);
  poison(m.dynamic.get(), grid.shared_bytes);
  for (size_t index = 0; index < m.threads.size(); ++index) {
    m.threads[index].state = State::unstarted;
    m.threads[index].copies.clear();
    m.threads[index].index = place_of(static_cast<unsigned>(index), grid.threads);
  }
  do {
    for (const int warp : m.warp_order) {
      if (m.failure.empty()) run_warp(warp);
    }
  } while (m.failure.empty() && open_barrier());
}

}  // namespace

void run_grid(const Grid& which, const std::function<void()>& kernel) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  const size_t count = count_of(which.threads);
  if (count == 0 || count > 1024 || count % kWarp != 0) {
    throw Error(kKernelError,
                "a block of " + std::to_string(count) + " threads, expected whole warps, at most 1024 threads");
  }
  if (which.blocks.y > 65535 || which.blocks.z > 65535 || which.shared_bytes > 227 << 10) {
    throw Error(kKernelError, "a grid beyond what a GPU takes: " + std::to_string(which.blocks.y) + " x " +
                                  std::to_string(which.blocks.z) + " blocks along y and z, " +
                                  std::to_string(which.shared_bytes) + " bytes of shared memory");
  }
  grid = which;
  m.kernel = &kernel;
  m.failure.clear();
  m.dynamic = std::make_unique<std::byte[]>(which.shared_bytes);
  m.threads.resize(count);
  m.warp_order.resize(count / kWarp);
  m.lane_order.resize(kWarp);
  std::iota(m.warp_order.begin(), m.warp_order.end(), 0);
  std::iota(m.lane_order.begin(), m.lane_order.end(), 0);
  std::vector<unsigned> blocks(count_of(which.blocks));
  std::iota(blocks.begin(), blocks.end(), 0U);
  const char* order = std::getenv("MGLMM_SIMULATOR_ORDER");
  std::mt19937 random(order == nullptr ? 0U : static_cast<unsigned>(std::atoi(order)));
  if (order != nullptr) std::shuffle(blocks.begin(), blocks.end(), random);
  for (const unsigned block : blocks) {
    if (order != nullptr) {
      std::shuffle(m.warp_order.begin(), m.warp_order.end(), random);
      std::shuffle(m.lane_order.begin(), m.lane_order.end(), random);
    }
    block_index = place_of(block, which.blocks);
    run_block();
    if (!m.failure.empty()) {
      m.idle.clear();  // what waits in a fiber is given up with its stack
      m.fibers.clear();
      throw Error(kKernelError, m.failure);
    }
  }
}

int lane() { return machine().current % kWarp; }

std::vector<Copy>& copies() { return machine().threads[static_cast<size_t>(machine().current)].copies; }

void barrier(const std::source_location& where) { wait_as(State::at_barrier, where); }

void wait_until(std::function<bool()> holds, const char* what, const std::source_location& where) {
  if (holds()) return;
  Thread& thread = machine().threads[static_cast<size_t>(machine().current)];
  thread.holds = std::move(holds);
  thread.what = what;
  wait_as(State::waiting, where);
}

void wait_until_idle(const std::source_location& where) { wait_as(State::idle, where); }

const std::array<uint64_t, kWarp>& exchange(uint32_t mask, uint64_t value, const std::source_location& where) {
  Machine& m = machine();
  const int self = m.current % kWarp;
  const auto first = static_cast<size_t>(m.current - self);
  if ((mask >> self & 1) == 0) fail("a lane is not in its own mask", where);
  Thread& thread = m.threads[first + static_cast<size_t>(self)];
  thread.mask = mask;
  thread.where = where;
  thread.values[static_cast<size_t>(self)] = value;
  bool complete = true;
  for (size_t other = 0; other < kWarp; ++other) {
    if (static_cast<int>(other) == self || (mask >> other & 1) == 0) continue;
    const Thread& peer = m.threads[first + other];
    if (peer.state == State::done) fail("a lane of the mask has ended", where);
    if (peer.state == State::in_exchange && (peer.mask != mask || peer.where.line() != where.line())) {
      fail("lanes of one mask are in different places", where);
    }
    complete = complete && peer.state == State::in_exchange;
  }
  if (!complete) {
    wait_as(State::in_exchange, where);
    return thread.values;
  }
  // The last one hands everybody the values and lets them go on.
  std::array<uint64_t, kWarp> all{};
  for (size_t other = 0; other < kWarp; ++other) all[other] = m.threads[first + other].values[other];
  for (size_t other = 0; other < kWarp; ++other) {
    if ((mask >> other & 1) == 0) continue;
    m.threads[first + other].values = all;
    m.threads[first + other].state = State::running;
  }
  return thread.values;
}

void fail(const char* what, const std::source_location& where) {
  Machine& m = machine();
  m.failure =
      "block " + to_string(block_index) + ", thread " + to_string(thread_index) + ": " + what + ", at " + to_string(where);
  for (;;) m.threads[static_cast<size_t>(m.current)].fiber->leave();
}

std::byte* dynamic_shared() { return machine().dynamic.get(); }

std::byte* static_shared(const void* key, size_t bytes) {
  Machine& m = machine();
  auto [place, is_new] = m.statics.try_emplace(key);
  if (is_new) {
    place->second = {std::make_unique<std::byte[]>(bytes), bytes};
    poison(place->second.memory.get(), bytes);
  }
  return place->second.memory.get();
}

void poison(void* memory, size_t bytes) {
  auto* words = static_cast<uint32_t*>(memory);
  std::fill(words, words + bytes / sizeof(uint32_t), kPoison);
  std::memset(reinterpret_cast<std::byte*>(words) + bytes / sizeof(uint32_t) * sizeof(uint32_t), 0x7f,
              bytes % sizeof(uint32_t));
}

}  // namespace mglmm::simulator
