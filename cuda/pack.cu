// cuBLASLt likes rows as they are: packed is rows here, at the beginning of the memory of a packed weight.
#include "kernels/pack.h"

#include "cuda/stream.h"

namespace mglmm::cuda {

void run(const Pack& op, CudaStream& stream) { stream.copy(op.packed.raw(), op.weight.raw(), op.weight.bytes()); }

void run(const Unpack& op, CudaStream& stream) { stream.copy(op.weight.raw(), op.packed.raw(), op.weight.bytes()); }

}  // namespace mglmm::cuda
