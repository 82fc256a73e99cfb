#include "binding/backends.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/ops.h"

namespace mglmm {
namespace {

std::string addon_folder() {
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(&load_cpu_backend), &info);
  const std::string path = info.dli_fname;
  return path.substr(0, path.find_last_of('/') + 1);
}

// The levels this machine runs, best first.
std::vector<std::string> cpu_levels() {
#if defined(__x86_64__)
  std::vector<std::string> levels;
  if (__builtin_cpu_supports("x86-64-v4")) {
    if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")) {
      levels.emplace_back("x86-64-v4-bf16");
    }
    levels.emplace_back("x86-64-v4");
  }
  if (__builtin_cpu_supports("x86-64-v3")) levels.emplace_back("x86-64-v3");
  if (__builtin_cpu_supports("x86-64-v2")) levels.emplace_back("x86-64-v2");
  return levels;
#else
  return {"generic"};
#endif
}

// OpenMP's threads, by default, wait for work by spinning for milliseconds. With as many of them as cores that takes the
// core from JavaScript and from the stream itself: small ops were 30 times slower for it (bench/event_loop.ts shows the
// rest). libgomp reads its settings once, when it is loaded; a user's own stand.
void spin_briefly() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("OMP_WAIT_POLICY") == nullptr) setenv("GOMP_SPINCOUNT", "5000", 0);
  });
}

// The backend in a library beside the addon; null, with a line in `tried`, when it cannot be used.
const Backend* load_backend(const std::string& name, std::string& tried) {
  const std::string path = addon_folder() + name;
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    tried += std::string("\n  ") + dlerror();
    return nullptr;
  }
  const auto entry = reinterpret_cast<BackendEntry>(dlsym(library, kBackendEntry));
  const Backend* backend = entry == nullptr ? nullptr : entry();
  if (backend != nullptr && backend->abi == Backend::kAbi && backend->op_count == static_cast<int>(OpIndex::count)) {
    return backend;
  }
  tried += "\n  " + path + ": built from other sources than the addon";
  return nullptr;
}

}  // namespace

const Backend& load_cpu_backend(const std::string& level) {
  const std::vector<std::string> levels = level.empty() ? cpu_levels() : std::vector<std::string>{level};
  std::string tried;
  spin_briefly();
  for (const std::string& candidate : levels) {
    if (const Backend* backend = load_backend("libmglmm_cpu_" + candidate + ".so", tried)) return *backend;
  }
  throw Error(kDeviceError, "no CPU backend could be loaded; tried:" +
                                (tried.empty() ? "\n  nothing: this CPU is below x86-64-v2" : tried));
}

const Backend& load_cuda_backend(const std::string& variant) {
  std::string tried;
  const std::string name = "libmglmm_cuda" + (variant.empty() ? "" : "_" + variant) + ".so";
  if (const Backend* backend = load_backend(name, tried)) return *backend;
  throw Error(kDeviceError, "the CUDA backend could not be loaded; tried:" + tried);
}

}  // namespace mglmm
