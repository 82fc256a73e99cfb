#include "kernels/copy.h"

#include "cuda/stream.h"

namespace mglmm::cuda {

void run(const Copy& op, CudaStream& stream) { stream.copy(op.y.raw(), op.x.raw(), op.y.bytes()); }

}  // namespace mglmm::cuda
