#include "cpu/panel_product.h"

#include "cpu/panel_product/tiles.h"
#include "cpu/panel_product/vectors.h"

namespace mglmm::cpu {

bool has_panel_product(Dtype dtype) { return (dtype == Dtype::bf16 && has_tiles()) || has_vector_product(dtype); }

void panel_product(const PanelProduct& product, const PanelSource& panels, Stream& stream) {
  if (product.dtype == Dtype::bf16 && has_tiles()) return tile_product(product, panels, stream);
  vector_product(product, panels, stream);
}

}  // namespace mglmm::cpu
