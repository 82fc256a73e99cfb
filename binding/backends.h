// Finds and loads the backend of a device: a shared library beside the addon.
#pragma once
#include <string>

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace mglmm {

// The best CPU backend this machine runs, or the one `level` names ("x86-64-v3"). Throws DeviceError saying what was tried.
const Backend& load_cpu_backend(const std::string& level);

}  // namespace mglmm
