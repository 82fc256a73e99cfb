// Finds and loads the backend of a device: a shared library beside the addon.
#pragma once
#include <string>

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace mglmm {

// The best CPU backend this machine runs, or the one `level` names ("x86-64-v3"). Throws DeviceError saying what was tried.
const Backend& load_cpu_backend(const std::string& level);
// The CUDA backend, or a variant of it ("simulated"). Throws DeviceError saying why there is none.
const Backend& load_cuda_backend(const std::string& variant);

}  // namespace mglmm
