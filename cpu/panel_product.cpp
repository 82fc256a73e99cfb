#include "cpu/panel_product.h"

#include "cpu/panel_product/dots.h"
#include "cpu/panel_product/tiles.h"

namespace mglmm::cpu {

bool has_panel_product() { return has_tiles() || has_dots(); }

void panel_product(const PanelProduct& product, const PanelSource& panels, Stream& stream) {
  if (has_tiles()) return tile_product(product, panels, stream);
  dot_product(product, panels, stream);
}

}  // namespace mglmm::cpu
