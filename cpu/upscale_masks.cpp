// A tile of tokens at a time, a token a lane: rows are channels, so that norm, GELU and the product with `hyper` run down
// the rows. A convolution whose stride is its kernel is four products, one a place of the 2 x 2 pixels that a pixel becomes.
// In bf16 the products are of bf16 where the processor has those.
#include "kernels/upscale_masks.h"

#include <cmath>

#include "cpu/attention/bf16_tiles.h"
#include "cpu/attention/product.h"
#include "cpu/attention/tile.h"
#include "cpu/gelu.h"
#include "cpu/parallel.h"

namespace mglmm::cpu {
namespace {

constexpr int kVectors = 2;
constexpr int64_t kTile = kVectors * kLanes;  // tokens
constexpr int64_t kPlaces = 4;                // of the 2 x 2 pixels of a pixel: (u, v) is 2 u + v

int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }

struct Sizes {
  int64_t dim, mid, channels, outputs, tokens, width;
};

// What is small, in f32.
struct Parameters {
  const float *bias1, *norm_weight, *norm_bias, *bias2, *hyper;
  float eps;
};

const float* floats(const ConstTensor& tensor, Stream& stream) {
  float* to = stream.scratch_of<float>(tensor.count());
  by_dtype(tensor.dtype, [&]<typename T>(Type<T>) { std::copy_n(tensor.data<T>(), tensor.count(), to); });
  return to;
}

// weight [in, out, 2, 2] as rows [place][out] of `stride` places, in of them filled.
template <typename From, typename To>
void rows_by_place(const From* weight, int64_t in, int64_t out, int64_t stride, To* rows) {
  for (int64_t i = 0; i < in; ++i) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t place = 0; place < kPlaces; ++place) {
        rows[(place * out + o) * stride + i] = To(static_cast<float>(weight[(i * out + o) * kPlaces + place]));
      }
    }
  }
}

// Products in f32.
class FloatProduct {
 public:
  FloatProduct(const ConstTensor& weight, Stream& stream) : in_(weight.shape[0]), rows_(kPlaces * weight.shape[1]) {
    float* rows = stream.scratch_of<float>(rows_ * in_);
    by_dtype(weight.dtype, [&]<typename T>(Type<T>) { rows_by_place(weight.data<T>(), in_, weight.shape[1], in_, rows); });
    weight_ = rows;
  }
  int64_t result_rows() const { return rows_; }
  int64_t operand_bytes() const { return Slice::bytes<float>(in_ * kTile); }
  void read(const Heads& tokens, int64_t mask, int64_t first, int64_t count, std::byte* operand) const {
    std::memset(operand, 0, static_cast<size_t>(operand_bytes()));
    by_dtype(tokens.dtype, [&]<typename T>(Type<T>) {
      read_columns<T>(tokens, {mask, 0, first + count, count}, first, count, in_, reinterpret_cast<float*>(operand), kTile);
    });
  }
  // Rows `row` and `row` + 1.
  void write(std::byte* operand, int64_t row, int vector, vfloat even, vfloat odd) const {
    float* to = reinterpret_cast<float*>(operand) + row * kTile + vector * kLanes;
    store(to, even);
    if (row + 1 < in_) store(to + kTile, odd);
  }
  void multiply(const std::byte* operand, float* result) const {
    product<kVectors, Start::zero>({weight_, in_, 1}, rows_, reinterpret_cast<const float*>(operand), kTile, in_, result,
                                   kTile);
  }

 private:
  int64_t in_, rows_;
  const float* weight_;
};

struct NoUse {};

#if defined(__AVX512F__)

// Products in bf16, by a unit of cpu/attention/bf16_tiles.h.
template <typename Unit>
class TileProduct {
 public:
  TileProduct(const ConstTensor& weight, Stream& stream)
      : in_(weight.shape[0]), depth_(blocks(in_, kTileDepth)), row_tiles_(blocks(kPlaces * weight.shape[1], kTileSide)) {
    const int64_t stride = depth_ * kTileDepth, rows = row_tiles_ * kTileSide;
    bf16* padded = stream.scratch_of<bf16>(rows * stride);
    std::fill_n(padded, rows * stride, bf16(0.0F));
    rows_by_place(weight.data<bf16>(), in_, weight.shape[1], stride, padded);
    bf16* tiles = stream.scratch_of<bf16>(rows * stride);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t k = 0; k < depth_; ++k) {
        bf16* tile = tiles + (row / kTileSide * depth_ + k) * kTileElements;
        std::copy_n(padded + row * stride + k * kTileDepth, kTileDepth, tile + row % kTileSide * kTileDepth);
      }
    }
    weight_ = tiles;
  }
  int64_t result_rows() const { return row_tiles_ * kTileSide; }
  int64_t operand_bytes() const { return Slice::bytes<bf16>(kVectors * depth_ * kTileElements); }
  void read(const Heads& tokens, int64_t mask, int64_t first, int64_t count, std::byte* operand) const {
    for (int64_t lane = 0; lane < kTile; lane += kLanes) {
      const bf16* from[kLanes];
      const int64_t filled = std::clamp<int64_t>(count - lane, 0, kLanes);
      for (int64_t i = 0; i < filled; ++i) from[i] = tokens.at<const bf16>(mask, 0, first + lane + i);
      pack_columns(from, filled, in_, reinterpret_cast<bf16*>(operand) + lane / kLanes * depth_ * kTileElements);
    }
  }
  void write(std::byte* operand, int64_t row, int vector, vfloat even, vfloat odd) const {
    bf16* tile = reinterpret_cast<bf16*>(operand) + (vector * depth_ + row / kTileDepth) * kTileElements;
    const vuint low = __builtin_convertvector(rounded_to_bf16(even), vuint);
    const vuint both = low | (__builtin_convertvector(rounded_to_bf16(odd), vuint) << 16);
    std::memcpy(static_cast<void*>(tile + row % kTileDepth * kTileSide), &both, sizeof both);
  }
  void multiply(const std::byte* operand, float* result) const {
    Unit::template multiply<kVectors, false>(weight_, row_tiles_ * kTileSide, reinterpret_cast<const bf16*>(operand),
                                             {depth_, 1, 1, depth_}, depth_ * kTileDepth, result, kTile);
  }

 private:
  int64_t in_, depth_, row_tiles_;
  const bf16* weight_;
};

#endif

struct TileMemory {
  std::byte *tokens, *pixels;
  float *first, *second, *lines;
};

// The channels of one place after the first convolution, through norm and GELU into the operand of the second.
template <typename Product>
void normalise(float* channels, const Sizes& sizes, const Parameters& parameters, const Product& product,
               std::byte* operand) {
  const auto size = static_cast<float>(sizes.mid);
  for (int n = 0; n < kVectors; ++n) {
    float* column = channels + n * kLanes;
    vfloat total = {}, square = {};
    for (int64_t m = 0; m < sizes.mid; ++m) {
      const vfloat value = load(column + m * kTile) + parameters.bias1[m];
      store(column + m * kTile, value);
      total += value;
    }
    const vfloat mean = total / size;
    for (int64_t m = 0; m < sizes.mid; ++m) {
      const vfloat centred = load(column + m * kTile) - mean;
      square += centred * centred;
    }
    vfloat rstd = square / size + parameters.eps;
    for (int lane = 0; lane < kLanes; ++lane) rstd[lane] = 1.0F / std::sqrt(rstd[lane]);
    const auto value = [&](int64_t m) {
      return gelu((load(column + m * kTile) - mean) * rstd * parameters.norm_weight[m] + parameters.norm_bias[m]);
    };
    for (int64_t m = 0; m < sizes.mid; m += 2)
      product.write(operand, m, n, value(m), m + 1 < sizes.mid ? value(m + 1) : vfloat{});
  }
}

// lines[output][row of the 4 x 4][token][column]: the pixels of the place (u, v) after the second convolution.
void weigh(float* pixels, const Sizes& sizes, const Parameters& parameters, const float* hyper, int64_t place,
           float* lines) {
  for (int64_t inner = 0; inner < kPlaces; ++inner) {
    float* channels = pixels + inner * sizes.channels * kTile;
    for (int64_t c = 0; c < sizes.channels; ++c) {
      for (int n = 0; n < kVectors; ++n) {
        float* at = channels + c * kTile + n * kLanes;
        store(at, gelu(load(at) + parameters.bias2[c]));
      }
    }
    const int64_t row = place / 2 * 2 + inner / 2, column = place % 2 * 2 + inner % 2;
    for (int64_t o = 0; o < sizes.outputs; ++o) {
      float* line = lines + (o * 4 + row) * 4 * kTile + column;
      vfloat sums[kVectors] = {};
      for (int64_t c = 0; c < sizes.channels; ++c) {
        for (int n = 0; n < kVectors; ++n)
          sums[n] += load(channels + c * kTile + n * kLanes) * hyper[o * sizes.channels + c];
      }
      for (int64_t lane = 0; lane < kTile; ++lane) line[4 * lane] = sums[lane / kLanes][lane % kLanes];
    }
  }
}

// Lines of tokens, which may cross ends of rows, to their places in the masks y [outputs, 4 height, 4 width] of one prompt.
template <typename T>
void write_lines(const float* lines, const Sizes& sizes, int64_t first, int64_t count, T* y) {
  const int64_t width = 4 * sizes.width, height = 4 * (sizes.tokens / sizes.width);
  for (int64_t done = 0; done < count;) {
    const int64_t token = first + done, column = token % sizes.width;
    const int64_t run = std::min(count - done, sizes.width - column);
    for (int64_t o = 0; o < sizes.outputs; ++o) {
      for (int64_t row = 0; row < 4; ++row) {
        const float* from = lines + (o * 4 + row) * 4 * kTile + 4 * done;
        T* to = y + (o * height + token / sizes.width * 4 + row) * width + 4 * column;
        by_lanes(0, 4 * run, [=](int64_t i, auto... lanes) { store(to + i, load(from + i, lanes...), lanes...); });
      }
    }
    done += run;
  }
}

template <typename Product, typename Use>
void upscale(const UpscaleMasks& op, Stream& stream) {
  const Sizes sizes{op.x.shape[2], op.weight1.shape[1], op.weight2.shape[1], op.hyper.shape[1], op.x.shape[1], op.width};
  const Parameters parameters{floats(op.bias1, stream), floats(op.normWeight, stream), floats(op.normBias, stream),
                              floats(op.bias2, stream), floats(op.hyper, stream),      op.eps};
  const Product first(op.weight1, stream), second(op.weight2, stream);
  const Heads tokens{op.x.raw(), op.x.dtype, sizes.tokens * sizes.dim, 0, sizes.dim};

  const int64_t floats_of[] = {first.result_rows() * kTile, second.result_rows() * kTile, sizes.outputs * 16 * kTile};
  int64_t slice = first.operand_bytes() + second.operand_bytes();
  for (const int64_t count : floats_of) slice += Slice::bytes<float>(count);
  std::byte* scratch = stream.scratch(slice * thread_count());

  const int64_t tiles = blocks(sizes.tokens, kTile);
  parallel_ranges(op.x.shape[0] * tiles, 2, [&](int64_t begin, int64_t end) {
    Slice own(scratch + slice * thread_index());
    TileMemory memory{};
    memory.tokens = own.take<std::byte>(first.operand_bytes());
    memory.pixels = own.take<std::byte>(second.operand_bytes());
    memory.first = own.take<float>(floats_of[0]);
    memory.second = own.take<float>(floats_of[1]);
    memory.lines = own.take<float>(floats_of[2]);
    std::memset(memory.pixels, 0, static_cast<size_t>(second.operand_bytes()));
    [[maybe_unused]] const Use use;
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t mask = piece / tiles, at = piece % tiles * kTile, count = std::min(kTile, sizes.tokens - at);
      first.read(tokens, mask, at, count, memory.tokens);
      first.multiply(memory.tokens, memory.first);
      for (int64_t place = 0; place < kPlaces; ++place) {
        normalise(memory.first + place * sizes.mid * kTile, sizes, parameters, second, memory.pixels);
        second.multiply(memory.pixels, memory.second);
        weigh(memory.second, sizes, parameters, parameters.hyper + mask * sizes.outputs * sizes.channels, place,
              memory.lines);
      }
      by_dtype(op.y.dtype, [&]<typename T>(Type<T>) {
        write_lines(memory.lines, sizes, at, count, op.y.data<T>() + mask * sizes.outputs * sizes.tokens * 16);
      });
    }
  });
}

}  // namespace

void run(const UpscaleMasks& op, Stream& stream) {
  if (op.y.count() == 0) return;
#if defined(__AVX512F__)
  if (op.x.dtype == Dtype::bf16 && amx_present()) return upscale<TileProduct<MatrixUnit>, MatrixUnit::Use>(op, stream);
#endif
#if defined(__AVX512BF16__)
  if (op.x.dtype == Dtype::bf16) return upscale<TileProduct<DotProducts>, DotProducts::Use>(op, stream);
#endif
  upscale<FloatProduct, NoUse>(op, stream);
}

}  // namespace mglmm::cpu
