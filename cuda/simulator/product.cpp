// What cuBLASLt does on a GPU, in plain loops: f32 sums in the order of the inner axis. TF32 is rounded to nearest, ties to
// even.
#include "cuda/product.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace mglmm::cuda {
namespace {

// A stored matrix as f32, [rows, columns]; with `transposed` it is stored [columns, rows].
std::vector<float> widened(const std::byte* data, Dtype dtype, int64_t rows, int64_t columns, bool transposed) {
  std::vector<float> values(static_cast<size_t>(rows * columns));
  by_dtype(dtype, [&]<typename T>(Type<T>) {
    const T* stored = reinterpret_cast<const T*>(data);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        values[static_cast<size_t>(row * columns + column)] =
            stored[transposed ? column * rows + row : row * columns + column];
      }
    }
  });
  return values;
}

// To 10 bits of mantissa where `tf32`.
void round_to(bool tf32, std::vector<float>& values) {
  if (!tf32) return;
  for (float& value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if (std::isfinite(value)) value = std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & ~0x1fffU);
  }
}

void multiply_now(const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias, std::byte* y) {
  const int64_t size = size_of(p.dtype);
  std::vector<float> sums(static_cast<size_t>(p.columns));
  for (int64_t s = 0; s < p.stack; ++s) {
    auto left = widened(a + (p.a_shared ? 0 : s * p.rows * p.inner * size), p.dtype, p.rows, p.inner, p.a_transposed);
    auto right = widened(b + (p.b_shared ? 0 : s * p.inner * p.columns * size), p.dtype, p.inner, p.columns, p.b_transposed);
    round_to(p.tf32, left);
    round_to(p.tf32, right);
    const auto added = bias == nullptr ? std::vector<float>() : widened(bias, p.dtype, 1, p.columns, false);
    for (int64_t row = 0; row < p.rows; ++row) {
      sums.assign(static_cast<size_t>(p.columns), 0.0F);
      for (int64_t i = 0; i < p.inner; ++i) {
        const float factor = left[static_cast<size_t>(row * p.inner + i)];
        const float* from = right.data() + i * p.columns;
        for (int64_t column = 0; column < p.columns; ++column) sums[static_cast<size_t>(column)] += factor * from[column];
      }
      if (bias != nullptr) {
        for (size_t column = 0; column < sums.size(); ++column) sums[column] += added[column];
      }
      by_dtype(p.result, [&]<typename T>(Type<T>) {
        const int64_t place = (s * p.rows + row) * p.columns;
        T* to = reinterpret_cast<T*>(y) + place;
        const T* addend = p.addend == nullptr ? nullptr : reinterpret_cast<const T*>(p.addend) + place;
        for (int64_t column = 0; column < p.columns; ++column) {
          const float before = addend == nullptr ? 0.0F : static_cast<float>(addend[column]);
          to[column] = T(before + sums[static_cast<size_t>(column)]);
        }
      });
    }
  }
}

}  // namespace

// With MGLMM_SIMULATOR_PRODUCTS=plain there are those alone whose result is f32 with nothing added, with =none there are
// none.
bool multiply(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
              std::byte* y) {
  const char* only = std::getenv("MGLMM_SIMULATOR_PRODUCTS");
  const bool is_plain = bias == nullptr && p.addend == nullptr && p.result == Dtype::f32;
  if (only != nullptr && !(is_plain && std::string_view(only) == "plain")) return false;
  enqueue_simulated(stream.handle(), [=] { multiply_now(p, a, b, bias, y); });
  return true;
}

}  // namespace mglmm::cuda
