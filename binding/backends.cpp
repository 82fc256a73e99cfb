#include "binding/backends.h"

#include <dlfcn.h>

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
  if (__builtin_cpu_supports("x86-64-v4")) levels.emplace_back("x86-64-v4");
  if (__builtin_cpu_supports("x86-64-v3")) levels.emplace_back("x86-64-v3");
  if (__builtin_cpu_supports("x86-64-v2")) levels.emplace_back("x86-64-v2");
  return levels;
#else
  return {"generic"};
#endif
}

}  // namespace

const Backend& load_cpu_backend(const std::string& level) {
  const std::vector<std::string> levels = level.empty() ? cpu_levels() : std::vector<std::string>{level};
  std::string tried;
  for (const std::string& candidate : levels) {
    const std::string path = addon_folder() + "libmglmm_cpu_" + candidate + ".so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      tried += std::string("\n  ") + dlerror();
      continue;
    }
    const auto entry = reinterpret_cast<BackendEntry>(dlsym(library, kBackendEntry));
    const Backend* backend = entry == nullptr ? nullptr : entry();
    if (backend != nullptr && backend->abi == Backend::kAbi && backend->op_count == static_cast<int>(OpIndex::count)) {
      return *backend;
    }
    tried += "\n  " + path + ": built from other sources than the addon";
  }
  throw Error(kDeviceError, "no CPU backend could be loaded; tried:" +
                                (tried.empty() ? "\n  nothing: this CPU is below x86-64-v2" : tried));
}

}  // namespace mglmm
