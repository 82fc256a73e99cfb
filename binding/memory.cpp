#include "binding/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace mglmm {
namespace {

constexpr int64_t kMaxCachedBytes = int64_t{1} << 30;
constexpr int64_t kHugePage = int64_t{2} << 20;

struct Pool {
  std::mutex mutex;
  std::map<int64_t, std::vector<std::byte*>> free_blocks;  // by size class
  int64_t live = 0, peak = 0, cached = 0, mapped = 0;
  int64_t limit = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE) / 10 * 9;
};

Pool& pool() {
  static auto* pool = new Pool;  // never destroyed: tensors of a worker may outlive static destruction
  return *pool;
}

// Sizes are rounded up to an eighth of their power of two, so that few classes serve all and little is wasted.
int64_t size_class(int64_t bytes) {
  const auto size = static_cast<uint64_t>(std::max<int64_t>(bytes, 64));
  const uint64_t step = std::max<uint64_t>(std::bit_floor(size) / 8, 64);
  return static_cast<int64_t>((size + step - 1) / step * step);
}

void trim_locked(Pool& p, int64_t keep) {
  for (auto entry = p.free_blocks.rbegin(); entry != p.free_blocks.rend() && p.cached > keep; ++entry) {
    while (!entry->second.empty() && p.cached > keep) {
      std::free(entry->second.back());
      entry->second.pop_back();
      p.cached -= entry->first;
    }
  }
}

void release_mapping(Storage& storage) {
  const auto page = static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(storage.data);
  const auto start = address / static_cast<uintptr_t>(page) * static_cast<uintptr_t>(page);
  munmap(reinterpret_cast<void*>(start), static_cast<size_t>(storage.bytes) + (address - start));
  const std::lock_guard lock(pool().mutex);
  pool().mapped -= storage.bytes;
}

[[noreturn]] void out_of_memory(const Pool& p, int64_t bytes) {
  throw Error(kOutOfMemoryError, "cannot allocate " + std::to_string(bytes) + " bytes on cpu: " + std::to_string(p.live) +
                                     " are in use, the limit is " + std::to_string(p.limit));
}

}  // namespace

void release_host(Storage& storage) {
  if (storage.data == nullptr) return;
  std::byte* const data = std::exchange(storage.data, nullptr);
  Pool& p = pool();
  const int64_t size = size_class(storage.bytes);
  const std::lock_guard lock(p.mutex);
  p.live -= size;
  if (size > kMaxCachedBytes / 4) {  // too large to keep: whole weights come once
    std::free(data);
    return;
  }
  p.free_blocks[size].push_back(data);
  p.cached += size;
  if (p.cached > kMaxCachedBytes) trim_locked(p, kMaxCachedBytes / 2);
}

void allocate_host(Storage& storage) {
  if (storage.data != nullptr) return;
  Pool& p = pool();
  const int64_t size = size_class(storage.bytes);
  const std::lock_guard lock(p.mutex);
  if (storage.bytes > p.limit || p.live + size > p.limit) out_of_memory(p, storage.bytes);
  auto& blocks = p.free_blocks[size];
  if (!blocks.empty()) {
    storage.data = blocks.back();
    blocks.pop_back();
    p.cached -= size;
  } else {
    const auto alignment = static_cast<size_t>(size >= kHugePage ? kHugePage : 64);
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, static_cast<size_t>(size)) != 0) {
      trim_locked(p, 0);
      if (posix_memalign(&memory, alignment, static_cast<size_t>(size)) != 0) out_of_memory(p, storage.bytes);
    }
    if (size >= kHugePage) madvise(memory, static_cast<size_t>(size), MADV_HUGEPAGE);
    storage.data = static_cast<std::byte*>(memory);
  }
  storage.release = release_host;
  p.live += size;
  p.peak = std::max(p.peak, p.live);
}

std::shared_ptr<Storage> map_file(const std::string& path, int64_t offset, int64_t bytes) {
  const auto refuse = [&](const std::string& why) -> Error { return {kArgumentError, "mapFile: " + path + ": " + why}; };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw refuse(std::strerror(errno));
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(file);
    throw refuse("is not a regular file");
  }
  if (offset < 0 || bytes < 0 || offset > status.st_size || bytes > status.st_size - offset) {
    close(file);
    throw refuse("has " + std::to_string(status.st_size) + " bytes, expected at least " + std::to_string(offset) + " + " +
                 std::to_string(bytes));
  }
  auto storage = std::make_shared<Storage>();
  storage->bytes = bytes;
  if (bytes > 0) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    const int64_t start = offset / page * page;
    void* memory =
        mmap(nullptr, static_cast<size_t>(bytes + offset - start), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, start);
    if (memory == MAP_FAILED) {
      close(file);
      throw refuse(std::strerror(errno));
    }
    storage->data = static_cast<std::byte*>(memory) + (offset - start);
    storage->release = release_mapping;
    const std::lock_guard lock(pool().mutex);
    pool().mapped += bytes;
  }
  close(file);
  return storage;
}

void expect_possible(int64_t bytes) {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  if (bytes > p.limit) out_of_memory(p, bytes);
}

MemoryFigures memory_figures() {
  Pool& p = pool();
  const std::lock_guard lock(p.mutex);
  return {p.live, p.peak, p.cached, p.mapped, p.limit};
}

void reset_peak() {
  const std::lock_guard lock(pool().mutex);
  pool().peak = pool().live;
}

void set_memory_limit(int64_t bytes) {
  const std::lock_guard lock(pool().mutex);
  pool().limit = bytes;
}

void trim_memory() {
  const std::lock_guard lock(pool().mutex);
  trim_locked(pool(), 0);
}

}  // namespace mglmm
