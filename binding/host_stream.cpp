#include "binding/host_stream.h"

#include <cstring>

#include "binding/memory.h"

namespace mglmm {

std::byte* HostStream::scratch(int64_t bytes) {
  auto storage = std::make_unique<Storage>();
  storage->bytes = bytes;
  allocate_host(*storage);
  scratch_.push_back(std::move(storage));
  return scratch_.back()->data;
}

void HostStream::allocate(Storage& storage) { allocate_host(storage); }

void HostStream::upload(std::byte* to, const std::byte* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
}

MemoryFigures HostStream::memory() const { return memory_figures(); }
void HostStream::reset_peak() { mglmm::reset_peak(); }
void HostStream::set_memory_limit(int64_t bytes) { mglmm::set_memory_limit(bytes); }
void HostStream::trim_memory() { mglmm::trim_memory(); }

}  // namespace mglmm
