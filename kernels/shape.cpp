#include "kernels/shape.h"

#include "kernels/error.h"

namespace mglmm {

Shape::Shape(std::initializer_list<int64_t> sizes) {
  for (const int64_t size : sizes) push(size);
}

void Shape::push(int64_t size) {
  if (rank == kMaxRank) throw Error(kShapeError, "shape has more than 6 axes, expected at most 6");
  if (size < 0) throw Error(kShapeError, "shape has size " + std::to_string(size) + ", expected at least 0");
  dims[rank++] = size;
  int64_t product = 1;  // zero sizes do not excuse a product that overflows without them
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t factor = dims[axis] == 0 ? 1 : dims[axis];
    if (factor > kMaxCount / product) {
      throw Error(kShapeError, "shape " + to_string(*this) + " has too many elements, expected at most 2^48");
    }
    product *= factor;
  }
}

Shape Shape::with_last(int64_t size) const {
  Shape result = without_last();
  result.push(size);
  return result;
}

Shape Shape::without_last() const {
  Shape result = *this;
  if (result.rank > 0) result.dims[--result.rank] = 0;
  return result;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (int axis = 0; axis < shape.rank; ++axis) text += (axis ? ", " : "") + std::to_string(shape.dims[axis]);
  return text + "]";
}

}  // namespace mglmm
