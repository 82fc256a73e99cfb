// The one symbol this library exports: its table of kernels.
#include "kernels/backend.h"

#include <omp.h>

#include <array>

#include "kernels/ops.h"

namespace mglmm::cpu {

#define MGLMM_DECLARE(Op) void run(const Op& op, Stream& stream);
MGLMM_OPS(MGLMM_DECLARE)
#undef MGLMM_DECLARE

namespace {

using Run = void (*)(const void*, Stream&);

template <typename Op>
void run_as(const void* op, Stream& stream) {
  run(*static_cast<const Op*>(op), stream);
}

#define MGLMM_ENTRY(Op) run_as<Op>,
constexpr std::array<Run, static_cast<size_t>(OpIndex::count)> kRuns = {MGLMM_OPS(MGLMM_ENTRY)};
#undef MGLMM_ENTRY

void run_op(int op_index, const void* op, Stream& stream) { kRuns[static_cast<size_t>(op_index)](op, stream); }

void set_threads(int threads) { omp_set_num_threads(threads); }
int device_count() { return 1; }
std::optional<std::string> device_problem(int) { return std::nullopt; }
std::unique_ptr<Stream> open(int) { return nullptr; }

}  // namespace
}  // namespace mglmm::cpu

extern "C" __attribute__((visibility("default"))) const mglmm::Backend* mglmm_backend() {
  static const mglmm::Backend backend{mglmm::Backend::kAbi,       static_cast<int>(mglmm::OpIndex::count),
                                      "cpu " MGLMM_CPU_LEVEL,     mglmm::cpu::run_op,
                                      mglmm::cpu::set_threads,    mglmm::cpu::device_count,
                                      mglmm::cpu::device_problem, mglmm::cpu::open};
  return &backend;
}
