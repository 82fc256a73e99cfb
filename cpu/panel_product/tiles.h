// The panel product on the matrix unit.
#pragma once
#include "cpu/panel_product.h"

namespace mglmm::cpu {

// Whether this processor has a matrix unit, and this level uses it.
bool has_tiles();
void tile_product(const PanelProduct& product, const PanelSource& panels, Stream& stream);

}  // namespace mglmm::cpu
