#include "kernels/attention_cached.h"

#include <algorithm>
#include <string>

#include "cuda/attention_tiles.cuh"
#include "cuda/rotation.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kMostPairs = 128;  // of a head

static_assert(kPageUnit % kTileKeys == 0 && kPageUnit % kKeys == 0);

// The rows of the batch, and what they ask of the cache.
struct Room {
  const int32_t* offsets;
  const int32_t* given;  // lengths, or null
  PagedRows cache;
  int64_t tokens, pages;
  int32_t* real;  // [batch]: how many new tokens of a row count; none of a row that does not fit, which is refused
  // A row has a block at least, which looks at it.
  __host__ __device__ int64_t blocks() const { return tokens > 0 ? tokens : 1; }
  __device__ int64_t length(int64_t row) const { return given == nullptr ? tokens : given[row]; }
};

struct Sight {
  static constexpr bool kBiased = false;
  static constexpr bool hides_some = false;
  const int32_t* offsets;
  const int32_t* real;
  int64_t rows = 0, columns = 0;
  // A token that is not real sees nothing, which gives 0.
  __device__ int64_t keys(int64_t batch, int64_t query) const {
    return query < real[batch] ? static_cast<int64_t>(offsets[batch]) + query + 1 : 0;
  }
  __device__ bool hides(int64_t, int64_t) const { return false; }
};

struct RoomRefusals {
  Refusal *length, *offset, *page;
};

// How many new tokens of a row count, by a warp. What is refused is told where `tells`.
__device__ int32_t real_tokens(const Room& room, int64_t row, const RoomRefusals& refusals, bool tells) {
  const int64_t length = room.length(row);
  const int64_t offset = room.offsets[row];
  bool fits = true;
  const auto refuse = [&](Refusal* word, int64_t place, int64_t value) {
    fits = false;
    if (tells) atomicMin(word, static_cast<Refusal>(place) << 32 | static_cast<uint32_t>(value));
  };
  if (length < 0 || length > room.tokens) {
    refuse(refusals.length, row, length);
  } else if (offset < 0 || offset + length > room.cache.tokens) {
    refuse(refusals.offset, row * (room.tokens + 1) + length, offset);  // the message needs both
  } else if (room.cache.page_table != nullptr && length > 0) {
    const int64_t used = (offset + length + room.cache.page_tokens - 1) / room.cache.page_tokens;
    for (int64_t i = threadIdx.x % 32; i < used; i += 32) {
      const int64_t place = row * room.cache.row_pages + i;
      const int32_t page = room.cache.page_table[place];
      if (page < 0 || page >= room.pages) refuse(refusals.page, place, page);
    }
  }
  return __all_sync(0xffffffff, fits) != 0 ? static_cast<int32_t>(length) : 0;
}

void doubt_room(CudaStream& stream, const Room& room, const RoomRefusals& refusals) {
  const auto complaint = [](const char* name, const std::string& place, int32_t got, const std::string& expected) {
    return Error(kArgumentError, std::string("attentionCached: ") + name + "[" + place + "] is " + std::to_string(got) +
                                     ", expected " + expected);
  };
  stream.doubt(refusals.length, [=, tokens = room.tokens](int64_t row, int32_t got) {
    return complaint("lengths", std::to_string(row), got, "0 to the " + std::to_string(tokens) + " tokens of q");
  });
  stream.doubt(refusals.offset, [=, tokens = room.tokens, capacity = room.cache.tokens](int64_t place, int32_t got) {
    const int64_t count = place % (tokens + 1);
    return complaint("offsets", std::to_string(place / (tokens + 1)), got,
                     "0 to " + std::to_string(capacity - count) + ", as the cache holds " + std::to_string(capacity) +
                         " tokens and " + std::to_string(count) + " are new");
  });
  if (room.cache.page_table == nullptr) return;
  stream.doubt(refusals.page, [=, row_pages = room.cache.row_pages, pages = room.pages](int64_t place, int32_t got) {
    return complaint("pageTable", std::to_string(place / row_pages) + ", " + std::to_string(place % row_pages), got,
                     "0 to " + std::to_string(pages - 1) + ", as the cache has " + std::to_string(pages) + " pages");
  });
}

template <typename T>
struct NewTokens {
  HeadRows queries, rows;
  const T *q, *k, *v;
  T *turned, *key_cache, *value_cache;  // turned: of q, with a base
  float base;                           // 0: nothing is turned
};

// Blocks along x: tokens of all rows, one of a row without; y: heads, a warp each in turns, of keys and values, then, with a
// base, of queries. The first of a row tell how many of its tokens count.
template <typename T>
__global__ void __launch_bounds__(kThreads) append_kernel(NewTokens<T> in, Room room, RoomRefusals refusals) {
  begin_early();
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto blocks = static_cast<uint32_t>(room.blocks());
  const int64_t batch = blockIdx.x / blocks;
  const int64_t token = blockIdx.x % blocks;
  const int64_t position = room.offsets[batch] + token;
  const int64_t half = in.rows.dim / 2;
  struct Common {
    int32_t real;
    Angle of_pair[kMostPairs];
  };
  auto& common = shared<Common>();
  if (threadIdx.x < 32) {
    const bool is_first = token == 0 && blockIdx.y == 0;
    const int32_t real = real_tokens(room, batch, refusals, is_first);
    if (threadIdx.x == 0) common.real = real;
    if (threadIdx.x == 0 && is_first) room.real[batch] = real;
  }
  __syncthreads();
  if (token >= common.real) return;
  if (in.base != 0.0F) {
    if (threadIdx.x < half)
      common.of_pair[threadIdx.x] = angle_at(static_cast<int32_t>(position), threadIdx.x, half, in.base);
    __syncthreads();
  }
  const auto turn = [&](const T* x, T* y) {
    for (int64_t i = lane; i < half; i += 32) turn_pair(common.of_pair[i], x, y, i, half);
  };
  const int64_t heads = in.rows.heads + (in.base == 0.0F ? 0 : in.queries.heads);
  for (int64_t head = static_cast<int64_t>(blockIdx.y) * kWarps + threadIdx.x / 32; head < heads;
       head += gridDim.y * kWarps) {
    if (head >= in.rows.heads) {
      const int64_t at = in.queries.offset(batch, head - in.rows.heads, token);
      turn(in.q + at, in.turned + at);
      continue;
    }
    const int64_t from = in.rows.offset(batch, head, token);
    const int64_t to = room.cache.offset(batch, head, position);
    if (in.base != 0.0F) turn(in.k + from, in.key_cache + to);
    for (int64_t i = lane; i < in.rows.dim; i += 32) {
      if (in.base == 0.0F) in.key_cache[to + i] = in.k[from + i];
      in.value_cache[to + i] = in.v[from + i];
    }
  }
}

}  // namespace

void run(const AttentionCached& op, CudaStream& stream) {
  const HeadRows queries = head_rows(op.q.shape, op.tokensFirst);
  const HeadRows rows = head_rows(op.k.shape, op.tokensFirst);
  const int64_t batch = op.q.shape[0];
  PagedRows cache{head_rows(op.keyCache.shape, false), nullptr, 0, op.keyCache.shape[2]};
  if (op.pageTable) {
    cache.page_table = op.pageTable->data<int32_t>();
    cache.row_pages = op.pageTable->shape[1];
    cache.tokens = cache.row_pages * cache.page_tokens;
  }
  const Room room{op.offsets.data<int32_t>(),
                  op.lengths ? op.lengths->data<int32_t>() : nullptr,
                  cache,
                  queries.tokens,
                  op.keyCache.shape[0],
                  stream.scratch_of<int32_t>(batch)};
  const RoomRefusals refusals{stream.question(), stream.question(), stream.question()};
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    const bool turns = op.ropeBase != 0;
    const NewTokens<T> in{queries,
                          rows,
                          op.q.data<T>(),
                          op.k.data<T>(),
                          op.v.data<T>(),
                          turns ? stream.scratch_of<T>(op.q.count()) : nullptr,
                          op.keyCache.data<T>(),
                          op.valueCache.data<T>(),
                          static_cast<float>(op.ropeBase)};
    // Angles are calculated once a block: where tokens alone fill the device, it has all heads of one.
    const int64_t blocks = batch * room.blocks();
    const int64_t parts = std::max<int64_t>(blocks_for(rows.heads + (turns ? queries.heads : 0), kWarps), 1);
    const int64_t wanted = blocks_for(int64_t{4} * stream.processors(), std::max<int64_t>(blocks, 1));
    launch(stream, append_kernel<T>, {.blocks = blocks, .threads = kThreads, .y = std::min(parts, wanted), .early = true},
           in, room, refusals);
    const AttentionInputs<T, PagedRows> all{
        turns ? in.turned : in.q,           op.keyCache.data<T>(), op.valueCache.data<T>(), queries, cache, queries,
        static_cast<float>(op.softmaxScale)};
    attend(stream, batch, all, Sight{room.offsets, room.real}, op.y.data<T>(), nullptr, true);
  });
  doubt_room(stream, room, refusals);
}

}  // namespace mglmm::cuda
