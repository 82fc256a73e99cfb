// Functions that are left by a jump are not to mark their frames for AddressSanitizer: nobody would take the marks away.
// Begun by makecontext; from then on _setjmp and _longjmp, which make no system call, change stacks.
#include "cuda/simulator/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#else
// Without the sanitizer there is nobody to tell.
static void __sanitizer_start_switch_fiber(void**, const void*, size_t) {}
static void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) {}
#endif

namespace mglmm::simulator {
namespace {

constexpr size_t kStackBytes = 256 << 10;

}  // namespace

Fiber::Fiber(void (*body)(Fiber&)) : body_(body) {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  stack_ = static_cast<std::byte*>(memory);
  mprotect(stack_, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_NONE);  // an overflow stops here
}

Fiber::~Fiber() { munmap(stack_, kStackBytes); }

[[gnu::no_sanitize("address")]] void Fiber::begin(unsigned low, unsigned high) {
  auto* fiber = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(low) | static_cast<uintptr_t>(high) << 32);
  __sanitizer_finish_switch_fiber(nullptr, &fiber->outside_stack_, &fiber->outside_bytes_);
  fiber->body_(*fiber);
}

[[gnu::no_sanitize("address")]] void Fiber::start() {
  started_ = true;
  ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack_;
  context.uc_stack.ss_size = kStackBytes;
  context.uc_link = nullptr;
  const auto address = reinterpret_cast<uintptr_t>(this);
  makecontext(&context, reinterpret_cast<void (*)()>(begin), 2, static_cast<unsigned>(address),
              static_cast<unsigned>(address >> 32));
  setcontext(&context);
}

[[gnu::no_sanitize("address")]] void Fiber::enter() {
  if (_setjmp(outside_) == 0) {
    __sanitizer_start_switch_fiber(&fake_outside_, stack_, kStackBytes);
    if (started_) _longjmp(inside_, 1);
    start();
  }
  __sanitizer_finish_switch_fiber(fake_outside_, nullptr, nullptr);
}

[[gnu::no_sanitize("address")]] void Fiber::leave() {
  if (_setjmp(inside_) == 0) {
    __sanitizer_start_switch_fiber(&fake_inside_, outside_stack_, outside_bytes_);
    _longjmp(outside_, 1);
  }
  __sanitizer_finish_switch_fiber(fake_inside_, &outside_stack_, &outside_bytes_);
}

}  // namespace mglmm::simulator
