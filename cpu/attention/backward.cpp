// Gradient of attention in f32: probabilities are made again from the saved logsumexp, tile by tile. Per head of keys, in
// order of its queries: dv += p dy, ds = p * (v dy^T - sum(dy * y)), dq^T += k^T ds, dk += ds q.
#include <cmath>

#include "cpu/attention/attend.h"
#include "cpu/attention/product.h"
#include "cpu/attention/tile.h"
#include "cpu/parallel.h"

namespace mglmm::cpu {
namespace {

constexpr int64_t kTileQueries = kBlockVectors * kLanes;
constexpr int64_t kTileKeys = 128;
constexpr int64_t kMostSlots = 256;  // sums of table gradients, each over a run of heads; then added up in order

struct Head {
  const AttentionProblem& problem;
  const AttentionGradients& gradients;
  Rows rows;
  int64_t keys, padded;  // headDim up to whole vectors
  const float *k, *v;
  int64_t k_stride, v_stride;
  const uint8_t* key_mask;
  const float* tables;  // [2 * height - 1 + 2 * width - 1][padded]
  float* dtables;       // the same; null when not wanted
  float *dk, *dv;       // [keys][padded]; null when not wanted
};

struct TileMemory {
  float *q_columns, *dy_columns, *q_rows, *dy_rows, *dq_columns, *dq_rows, *s, *ds, *scores, *bias_h, *bias_w, *dbias_h,
      *dbias_w;
};

// rows[count][padded] as f32, then rows of zeros up to `all`.
void read_rows(const Heads& heads, const Rows& rows, int64_t first, int64_t count, int64_t all, int64_t head_dim,
               int64_t padded, float* to) {
  std::fill_n(to, all * padded, 0.0F);
  by_dtype(heads.dtype, [&]<typename T>(Type<T>) {
    for (int64_t r = 0; r < count; ++r) {
      const T* from = rows.at<const T>(heads, first + r);
      by_lanes(0, head_dim,
               [&](int64_t d, auto... lanes) { store(to + r * padded + d, load(from + d, lanes...), lanes...); });
    }
  });
}

template <int kVectors>
void make_bias(const Head& head, int64_t first, int64_t count, const TileMemory& memory, TileLogits<kVectors>& logits) {
  constexpr int64_t kStride = kVectors * kLanes;
  const AttentionProblem& problem = head.problem;
  const float* table = head.tables;
  for (const bool vertical : {true, false}) {
    const int64_t size = vertical ? problem.height : problem.width;
    int32_t at[kStride];
    for (int64_t lane = 0; lane < kStride; ++lane) {
      const int64_t token = head.rows.token(first + std::min(lane, count - 1));
      at[lane] = static_cast<int32_t>((vertical ? token / problem.width : token % problem.width) + size - 1);
    }
    product<kVectors, Start::zero>({table, head.padded, 1}, 2 * size - 1, memory.q_columns, kStride, problem.head_dim,
                                   memory.scores, kStride);
    shear<kVectors>(memory.scores, at, size, vertical ? memory.bias_h : memory.bias_w);
    table += (2 * size - 1) * head.padded;
  }
  logits.bias_h = memory.bias_h;
  logits.bias_w = memory.bias_w;
  logits.width = problem.width;
}

// s becomes the probabilities, ds (which holds v dy^T) the gradient of the logits.
template <int kVectors>
void logit_gradients(float* s, float* ds, int64_t first, int64_t keys, const TileLogits<kVectors>& logits,
                     const vfloat* logsumexp, const vfloat* delta) {
  constexpr int64_t kStride = kVectors * kLanes;
  for (int64_t j = first; j < first + keys; ++j, s += kStride, ds += kStride) {
    const bool hidden = logits.key_mask && logits.key_mask[j] == 0;
    const auto key = hidden ? std::numeric_limits<int32_t>::max() : static_cast<int32_t>(j);
    for (int n = 0; n < kVectors; ++n) {
      vfloat minus = logsumexp[n];
      if (logits.bias_h) {
        minus -= load(logits.bias_h + j / logits.width * kStride + n * kLanes) +
                 load(logits.bias_w + j % logits.width * kStride + n * kLanes);
      }
      vfloat p = exp2(load(s + n * kLanes) * logits.factor - minus);
      p = logits.limits[n] >= key ? p : vfloat{};
      store(s + n * kLanes, p);
      const vfloat d = p * (load(ds + n * kLanes) - delta[n]);
      store(ds + n * kLanes, logits.limits[n] >= key ? d : vfloat{});
    }
  }
}

// d loss / d bias of each query and place, from which dq and the gradient of the tables follow.
template <int kVectors>
void sum_bias(const Head& head, const float* ds, int64_t first, int64_t keys, const TileMemory& memory) {
  constexpr int64_t kStride = kVectors * kLanes;
  for (int64_t j = first; j < first + keys; ++j, ds += kStride) {
    float* h = memory.dbias_h + j / head.problem.width * kStride;
    float* w = memory.dbias_w + j % head.problem.width * kStride;
    for (int64_t n = 0; n < kStride; n += kLanes) {
      store(h + n, load(h + n) + load(ds + n));
      store(w + n, load(w + n) + load(ds + n));
    }
  }
}

template <int kVectors>
void add_bias_gradients(const Head& head, int64_t first, int64_t count, const TileMemory& memory) {
  constexpr int64_t kStride = kVectors * kLanes;
  const int64_t height = head.problem.height, width = head.problem.width, padded = head.padded;
  for (int64_t r = 0; r < count; ++r) {
    const int64_t token = head.rows.token(first + r);
    for (const bool vertical : {true, false}) {
      const int64_t size = vertical ? height : width;
      const int64_t last = (vertical ? token / width : 2 * height - 1 + token % width) + size - 1;
      const float* dbias = (vertical ? memory.dbias_h : memory.dbias_w) + r;
      for (int64_t place = 0; place < size; ++place) {
        const float d = dbias[place * kStride];
        const float* table = head.tables + (last - place) * padded;
        float* dtable = head.dtables ? head.dtables + (last - place) * padded : nullptr;
        for (int64_t i = 0; i < padded; i += kLanes) {
          store(memory.dq_rows + r * padded + i, load(memory.dq_rows + r * padded + i) + d * load(table + i));
          if (dtable) store(dtable + i, load(dtable + i) + d * load(memory.q_rows + r * padded + i));
        }
      }
    }
  }
}

template <int kVectors>
void tile_gradients(const Head& head, int64_t first, int64_t count, const TileMemory& memory) {
  constexpr int64_t kStride = kVectors * kLanes;
  const AttentionProblem& problem = head.problem;
  const int64_t head_dim = problem.head_dim, padded = head.padded, vectors = padded / kLanes;
  by_dtype(problem.q.dtype, [&]<typename T>(Type<T>) {
    read_columns<T>(problem.q, head.rows, first, count, head_dim, memory.q_columns, kStride);
    read_columns<T>(head.gradients.dy, head.rows, first, count, head_dim, memory.dy_columns, kStride);
  });
  read_rows(problem.q, head.rows, first, count, kStride, head_dim, padded, memory.q_rows);
  read_rows(problem.y, head.rows, first, count, kStride, head_dim, padded, memory.dy_rows);
  vfloat logsumexp[kVectors], delta[kVectors] = {};
  for (int64_t lane = 0; lane < kStride; ++lane) {
    float value = kInfinity;  // no probability, where there is no query
    if (lane < count) {
      const int64_t head_index = head.rows.batch * problem.heads + head.rows.head(first + lane);
      value = problem.logsumexp[head_index * problem.queries + head.rows.token(first + lane)] * kLog2E;
    }
    logsumexp[lane / kLanes][lane % kLanes] = value;
  }
  for (int64_t d = 0; d < head_dim; ++d) {  // dy_rows holds y for this once
    for (int64_t lane = 0; lane < count; ++lane) {
      delta[lane / kLanes][lane % kLanes] += memory.dy_columns[d * kStride + lane] * memory.dy_rows[lane * padded + d];
    }
  }
  read_rows(head.gradients.dy, head.rows, first, count, kStride, head_dim, padded, memory.dy_rows);

  TileLogits<kVectors> logits;
  logits.factor = problem.scale * kLog2E;
  logits.key_mask = head.key_mask;
  int64_t keys_end = 0;
  set_limits<kVectors>(problem, head.rows, first, count, logits, keys_end);
  if (head.tables) {
    make_bias<kVectors>(head, first, count, memory, logits);
    std::fill_n(memory.dbias_h, problem.height * kStride, 0.0F);
    std::fill_n(memory.dbias_w, problem.width * kStride, 0.0F);
  }
  std::fill_n(memory.dq_columns, head_dim * kStride, 0.0F);
  for (int64_t key = 0; key < keys_end; key += kTileKeys) {
    const int64_t keys = std::min(kTileKeys, keys_end - key);
    const float* k = head.k + key * head.k_stride;
    product<kVectors, Start::zero>({k, head.k_stride, 1}, keys, memory.q_columns, kStride, head_dim, memory.s, kStride);
    product<kVectors, Start::zero>({head.v + key * head.v_stride, head.v_stride, 1}, keys, memory.dy_columns, kStride,
                                   head_dim, memory.ds, kStride);
    logit_gradients<kVectors>(memory.s, memory.ds, key, keys, logits, logsumexp, delta);
    if (head.dv) {
      product_wide<Start::sum>({memory.s, kStride, 1}, keys, memory.dy_rows, padded, kStride, head.dv + key * padded, padded,
                               vectors);
    }
    if (head.dk) {
      product_wide<Start::sum>({memory.ds, kStride, 1}, keys, memory.q_rows, padded, kStride, head.dk + key * padded, padded,
                               vectors);
    }
    if (head.gradients.dq.data) {
      product<kVectors, Start::sum>({k, 1, head.k_stride}, head_dim, memory.ds, kStride, keys, memory.dq_columns, kStride);
    }
    if (head.tables) sum_bias<kVectors>(head, memory.ds, key, keys, memory);
  }
  float scales[kStride];
  std::fill_n(scales, kStride, problem.scale);
  const Heads rows_of_tile{reinterpret_cast<std::byte*>(memory.dq_rows), Dtype::f32, 0, 0, padded};
  write_columns<float>(rows_of_tile, {0, 0, count, count}, 0, count, head_dim, memory.dq_columns, kStride, scales);
  if (head.tables) add_bias_gradients<kVectors>(head, first, count, memory);
  if (!head.gradients.dq.data) return;
  by_dtype(problem.q.dtype, [&]<typename T>(Type<T>) {
    for (int64_t r = 0; r < count; ++r) {
      T* to = head.rows.at<T>(head.gradients.dq, first + r);
      by_lanes(0, head_dim,
               [&](int64_t d, auto... lanes) { store(to + d, load(memory.dq_rows + r * padded + d), lanes...); });
    }
  });
}

void write_tokens(const Heads& heads, int64_t b, int64_t kv_head, int64_t tokens, int64_t head_dim, int64_t padded,
                  const float* from, float scale) {
  by_dtype(heads.dtype, [&]<typename T>(Type<T>) {
    for (int64_t token = 0; token < tokens; ++token, from += padded) {
      T* to = heads.at<T>(b, kv_head, token);
      by_lanes(0, head_dim, [&](int64_t d, auto... lanes) { store(to + d, load(from + d) * scale, lanes...); });
    }
  });
}

}  // namespace

void attend_backward(const AttentionProblem& problem, const AttentionGradients& gradients, Stream& stream) {
  const int64_t heads = problem.batch * problem.kv_heads, head_dim = problem.head_dim, keys = problem.keys;
  const int64_t padded = (head_dim + kLanes - 1) / kLanes * kLanes;
  const int64_t table_rows = problem.height ? 2 * (problem.height + problem.width) - 2 : 0;
  const int64_t slots = std::min(heads, kMostSlots);
  const bool dtables_wanted = gradients.drel_pos_h || gradients.drel_pos_w;
  float* tables = table_rows ? stream.scratch_of<float>(table_rows * padded) : nullptr;
  float* dtables = dtables_wanted ? stream.scratch_of<float>(std::max<int64_t>(slots, 1) * table_rows * padded) : nullptr;
  if (dtables) std::fill_n(dtables, std::max<int64_t>(slots, 1) * table_rows * padded, 0.0F);
  if (tables) {
    float* to = tables;
    std::fill_n(to, table_rows * padded, 0.0F);
    for (const ConstTensor* table : {&problem.rel_pos_h, &problem.rel_pos_w}) {
      by_dtype(table->dtype, [&]<typename T>(Type<T>) {
        for (int64_t row = 0; row < table->shape[0]; ++row, to += padded)
          std::copy_n(table->data<T>() + row * head_dim, head_dim, to);
      });
    }
  }
  const bool copies = problem.k.dtype != Dtype::f32 || problem.key_mask != nullptr;
  const int64_t sizes[] = {copies ? keys * padded : 0,
                           copies ? keys * padded : 0,
                           gradients.dk.data ? keys * padded : 0,
                           gradients.dv.data ? keys * padded : 0,
                           kTileQueries * padded,
                           kTileQueries * padded,
                           kTileQueries * padded,
                           kTileQueries * padded,
                           kTileQueries * padded,
                           kTileQueries * padded,
                           kTileQueries * kTileKeys,
                           kTileQueries * kTileKeys,
                           kTileQueries * 2 * std::max(problem.height, problem.width),
                           kTileQueries * problem.height,
                           kTileQueries * problem.width,
                           kTileQueries * problem.height,
                           kTileQueries * problem.width};
  int64_t slice = 0;
  for (const int64_t size : sizes) slice += Slice::bytes<float>(size);
  std::byte* scratch = stream.scratch(slice * thread_count());

  parallel_pieces(slots, [&](int64_t slot) {
    for (int64_t index = heads * slot / slots; index < heads * (slot + 1) / slots; ++index) {
      const int64_t b = index / problem.kv_heads, kv_head = index % problem.kv_heads;
      Slice own(scratch + slice * thread_index());
      float* parts[std::size(sizes)];
      for (size_t i = 0; i < std::size(sizes); ++i) parts[i] = own.take<float>(sizes[i]);
      const uint8_t* key_mask = problem.key_mask ? problem.key_mask + b * keys : nullptr;
      Head head{problem,
                gradients,
                rows_of(problem, b, kv_head),
                keys,
                padded,
                nullptr,
                nullptr,
                0,
                0,
                key_mask,
                tables,
                dtables ? dtables + slot * table_rows * padded : nullptr,
                gradients.dk.data ? parts[2] : nullptr,
                gradients.dv.data ? parts[3] : nullptr};
      head.k =
          read_tokens(problem, problem.k, head.rows, keys, key_mask, copies ? parts[0] : nullptr, padded, head.k_stride);
      head.v =
          read_tokens(problem, problem.v, head.rows, keys, key_mask, copies ? parts[1] : nullptr, padded, head.v_stride);
      if (head.dk) std::fill_n(head.dk, keys * padded, 0.0F);
      if (head.dv) std::fill_n(head.dv, keys * padded, 0.0F);
      const TileMemory tile{parts[4],  parts[5],  parts[6],  parts[7],  parts[8],  parts[9], parts[10],
                            parts[11], parts[12], parts[13], parts[14], parts[15], parts[16]};
      for (int64_t first = 0; first < head.rows.count; first += kTileQueries) {
        const int64_t count = std::min(kTileQueries, head.rows.count - first);
        switch ((count + kLanes - 1) / kLanes) {
          case 1: tile_gradients<1>(head, first, count, tile); break;
          case 2: tile_gradients<2>(head, first, count, tile); break;
          default: tile_gradients<3>(head, first, count, tile); break;
        }
      }
      if (head.dk) write_tokens(gradients.dk, b, kv_head, keys, head_dim, padded, head.dk, problem.scale);
      if (head.dv) write_tokens(gradients.dv, b, kv_head, keys, head_dim, padded, head.dv, 1);
    }
  });

  struct Table {
    const Tensor& gradient;
    int64_t size;
  };
  int64_t row = 0;
  for (const Table& table :
       {Table{gradients.drel_pos_h, 2 * problem.height - 1}, Table{gradients.drel_pos_w, 2 * problem.width - 1}}) {
    if (table.gradient) {
      by_dtype(table.gradient.dtype, [&]<typename T>(Type<T>) {
        T* to = table.gradient.data<T>();
        for (int64_t i = 0; i < table.size * head_dim; ++i) {
          float sum = 0;
          for (int64_t slot = 0; slot < slots; ++slot)
            sum += dtables[(slot * table_rows + row + i / head_dim) * padded + i % head_dim];
          to[i] = sum;
        }
      });
    }
    row += table.size;
  }
}

}  // namespace mglmm::cpu
