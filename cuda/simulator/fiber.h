// A stack of its own that can be left in the middle and entered again: one is a thread of a simulated block.
#pragma once
#include <csetjmp>
#include <cstddef>

namespace mglmm::simulator {

class Fiber {
 public:
  // `body` is run on the first enter() and must never return: it leaves.
  explicit Fiber(void (*body)(Fiber&));
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber();

  // From outside: goes on where the fiber left, until it leaves again.
  void enter();
  // From inside.
  void leave();

 private:
  static void begin(unsigned low, unsigned high);
  void start();

  void (*body_)(Fiber&);
  std::byte* stack_;
  bool started_ = false;
  std::jmp_buf inside_, outside_;
  // For AddressSanitizer: what it knows of the stacks.
  void* fake_inside_ = nullptr;
  void* fake_outside_ = nullptr;
  const void* outside_stack_ = nullptr;
  size_t outside_bytes_ = 0;
};

}  // namespace mglmm::simulator
