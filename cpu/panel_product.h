// Products of many rows with a weight in the packed order of kernels/panels.h, by kernels of our own on the matrix unit or
// with vectors: they read the panels as they are, oneDNN 2.6 loses a large weight on its way through the caches.
#pragma once
#include <cstddef>
#include <functional>

#include "cpu/product.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// Whether this processor has either for `dtype`, and this level uses it.
bool has_panel_product(Dtype dtype);

// Where the panels [first, first + count) of a weight are: in it, or made now in `memory`, which holds `count` panels and is
// the calling thread's own.
using PanelSource = std::function<const std::byte*(int64_t first, int64_t count, std::byte* memory)>;

struct PanelProduct {
  LinearSizes sizes;
  Dtype dtype;
  const std::byte* x;         // [rows, in]
  const std::byte* bias;      // [out] or null
  const std::byte* residual;  // [rows, out], which is added, or null; may be y
  std::byte* y;               // [rows, out]
  bool made;                  // the source needs memory
};

void panel_product(const PanelProduct& product, const PanelSource& panels, Stream& stream);

}  // namespace mglmm::cpu
