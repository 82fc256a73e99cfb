// The one symbol this library exports: its table of kernels.
#include "kernels/backend.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <string>

#include "cuda/stream.h"
#include "kernels/ops.h"

namespace mglmm::cuda {

#define MGLMM_DECLARE(Op) void run(const Op& op, CudaStream& stream);
MGLMM_OPS(MGLMM_DECLARE)
#undef MGLMM_DECLARE

namespace {

constexpr size_t kOps = static_cast<size_t>(OpIndex::count);

using Run = void (*)(const void*, CudaStream&);

template <typename Field>
void note_made(const Field& field, CudaStream& stream) {
  if constexpr (std::derived_from<Field, Tensor>) {
    stream.note_made(field);
  } else if constexpr (requires { field.begin()->storage; }) {
    for (const auto& element : field) note_made(element, stream);
  }
}

template <typename Op>
void run_as(const void* op, CudaStream& stream) {
  run(*static_cast<const Op*>(op), stream);
  if (!stream.is_captured()) return;
  Op noted = *static_cast<const Op*>(op);  // fields() is for what may change
  noted.fields([&](const char*, const auto& field) { note_made(field, stream); });
}

#define MGLMM_ENTRY(Op) run_as<Op>,
constexpr std::array<Run, kOps> kRuns = {MGLMM_OPS(MGLMM_ENTRY)};
#undef MGLMM_ENTRY

void run_op(int op_index, const void* op, Stream& stream) {
  kRuns[static_cast<size_t>(op_index)](op, static_cast<CudaStream&>(stream));
}

void set_threads(int) {}

int device_count() {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    throw Error(kDeviceError, std::string("CUDA cannot be used: ") + cudaGetErrorString(error));
  }
  count = std::min(count, 255);
  for (int device = 0; device < count; ++device) {
    if (!lacking_code(device)) return count;
  }
  if (count > 0) throw Error(kDeviceError, "CUDA cannot be used: " + *lacking_code(0));
  return 0;
}

std::unique_ptr<Stream> open(int device) { return std::make_unique<CudaStream>(device); }

}  // namespace
}  // namespace mglmm::cuda

extern "C" __attribute__((visibility("default"))) const mglmm::Backend* mglmm_backend() {
  using namespace mglmm;
#if defined(MGLMM_SIMULATED)
  constexpr const char* kName = "cuda simulated";
#else
  constexpr const char* kName = "cuda";
#endif
  static const Backend backend{Backend::kAbi,
                               static_cast<int>(OpIndex::count),
                               kName,
                               cuda::run_op,
                               cuda::set_threads,
                               cuda::device_count,
                               cuda::lacking_code,
                               cuda::open};
  return &backend;
}
