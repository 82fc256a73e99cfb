#include "kernels/pack.h"

#include <cstring>

#include "cpu/panels.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

void run(const Pack& op, Stream&) {
  by_dtype(op.weight.dtype, [&]<typename T>(Type<T>) {
    const auto [out, in] = std::pair(op.weight.shape[0], op.weight.shape[1]);
    pack_panels(op.weight.data<T>(), out, in, packed_in(in, op.weight.dtype), 0, (out + kPanel - 1) / kPanel,
                op.packed.data<T>());
  });
}

void run(const Unpack& op, Stream&) {
  if (op.packed.layout == Layout::rows) {
    if (op.weight.bytes() > 0) std::memcpy(op.weight.raw(), op.packed.raw(), static_cast<size_t>(op.weight.bytes()));
    return;
  }
  by_dtype(op.packed.dtype, [&]<typename T>(Type<T>) {
    const auto [out, in] = std::pair(op.packed.shape[0], op.packed.shape[1]);
    unpack_panels(op.packed.data<T>(), out, in, packed_in(in, op.packed.dtype), op.weight.data<T>());
  });
}

}  // namespace mglmm::cpu
