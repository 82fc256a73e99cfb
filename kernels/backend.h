// A backend is a shared library beside the addon that keeps the ops of kernels/ops.h on one kind of device.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "kernels/stream.h"

namespace mglmm {

struct Backend {
  // Grows whenever kernels/ changes a struct; addon and backend come from one build, this catches a mixed folder.
  static constexpr int kAbi = 5;

  int abi;
  int op_count;
  const char* name;  // "cpu x86-64-v4"
  // Runs the op at an index of kernels/ops.h; throws on failure. Called by one thread at a time per stream.
  void (*run)(int op_index, const void* op, Stream& stream);
  // Threads the calling thread's kernels may use from now on.
  void (*set_threads)(int threads);
  // How many devices it finds; throws DeviceError when it cannot look. At most 255.
  int (*device_count)();
  // Why one of them cannot be used, where that shows before it is opened.
  std::optional<std::string> (*device_problem)(int device);
  // A stream on one of them, for the calling thread; null when its memory is the host's, which the binding keeps.
  std::unique_ptr<Stream> (*open)(int device);
};

using BackendEntry = const Backend* (*)();
inline constexpr const char* kBackendEntry = "mglmm_backend";

}  // namespace mglmm
