// Products of many rows in bf16 with a weight in the packed order of kernels/panels.h, by kernels of our own on the matrix
// unit, or with dot instructions: they read the panels as they are, oneDNN 2.6 loses a large weight on its way through the
// caches.
#pragma once
#include <cstddef>
#include <functional>

#include "cpu/product.h"
#include "kernels/stream.h"

namespace mglmm::cpu {

// Whether this processor has either, and this level uses it.
bool has_panel_product();

// Where the panels [first, first + count) of a weight are: in it, or made now in `memory`, which holds `count` panels and is
// the calling thread's own.
using PanelSource = std::function<const std::byte*(int64_t first, int64_t count, std::byte* memory)>;

struct PanelProduct {
  LinearSizes sizes;
  const bf16* x;     // [rows, in]
  const bf16* bias;  // [out] or null
  bf16* y;           // [rows, out]
  bool made;         // the source needs memory
};

void panel_product(const PanelProduct& product, const PanelSource& panels, Stream& stream);

}  // namespace mglmm::cpu
