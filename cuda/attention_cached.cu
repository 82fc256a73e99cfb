#include "kernels/attention_cached.h"

#include <string>

#include "cuda/attention_tiles.cuh"
#include "cuda/rotation.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kHeadsOfBlock = kThreads / 32;
constexpr int kMostPairs = 128;  // of a head

// What of each row of the batch is real: a row that does not fit, which is refused, counts as empty.
struct Room {
  const int32_t* offsets;
  const int32_t* given;  // lengths, or null
  int64_t batch, tokens, capacity;
  __device__ int64_t length(int64_t row) const { return given == nullptr ? tokens : given[row]; }
  __device__ bool length_fits(int64_t row) const { return length(row) >= 0 && length(row) <= tokens; }
  __device__ bool fits(int64_t row) const {
    return length_fits(row) && offsets[row] >= 0 && offsets[row] + length(row) <= capacity;
  }
  __device__ int64_t real(int64_t row) const { return fits(row) ? length(row) : 0; }
};

struct Sight {
  static constexpr bool kBiased = false;
  Room room;
  int64_t rows = 0, columns = 0;
  // A token that is not real sees nothing, which gives 0.
  __device__ int64_t keys(int64_t batch, int64_t query) const {
    return query < room.real(batch) ? room.offsets[batch] + query + 1 : 0;
  }
  __device__ bool hides(int64_t, int64_t) const { return false; }
};

__global__ void __launch_bounds__(kThreads) check_room_kernel(Room room, Refusal* length, Refusal* offset) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= room.batch || room.fits(row)) return;
  if (!room.length_fits(row)) {
    atomicMin(length, static_cast<Refusal>(row) << 32 | static_cast<uint32_t>(room.given[row]));
  } else {
    const auto place = static_cast<Refusal>(row * (room.tokens + 1) + room.length(row));  // the message needs both
    atomicMin(offset, place << 32 | static_cast<uint32_t>(room.offsets[row]));
  }
}

void doubt_room(CudaStream& stream, const Room& room) {
  Refusal* length = stream.question();
  Refusal* offset = stream.question();
  launch(stream, check_room_kernel, {.blocks = blocks_for(room.batch, kThreads), .threads = kThreads}, room, length, offset);
  const auto complaint = [](const char* name, int64_t row, int32_t got, const std::string& expected) {
    return Error(kArgumentError, std::string("attentionCached: ") + name + "[" + std::to_string(row) + "] is " +
                                     std::to_string(got) + ", expected " + expected);
  };
  stream.doubt(length, [=, tokens = room.tokens](int64_t row, int32_t got) {
    return complaint("lengths", row, got, "0 to the " + std::to_string(tokens) + " tokens of q");
  });
  stream.doubt(offset, [=, tokens = room.tokens, capacity = room.capacity](int64_t place, int32_t got) {
    const int64_t count = place % (tokens + 1);
    return complaint("offsets", place / (tokens + 1), got,
                     "0 to " + std::to_string(capacity - count) + ", as the cache holds " + std::to_string(capacity) +
                         " tokens and " + std::to_string(count) + " are new");
  });
}

template <typename T>
struct NewTokens {
  HeadRows queries, rows, cache;
  const T *q, *k, *v;
  T *turned, *key_cache, *value_cache;  // turned: of q, with a base
  float base;                           // 0: nothing is turned
};

// Blocks along x: tokens of all rows; y: heads, a warp each, of keys and values, then, with a base, of queries.
template <typename T>
__global__ void __launch_bounds__(kThreads) append_kernel(NewTokens<T> in, Room room) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t batch = blockIdx.x / room.tokens;
  const int64_t token = blockIdx.x % room.tokens;
  if (token >= room.real(batch)) return;
  const int64_t position = room.offsets[batch] + token;
  const int64_t half = in.rows.dim / 2;
  struct Angles {
    Angle of_pair[kMostPairs];
  };
  auto& angles = shared<Angles>();
  if (in.base != 0.0F) {
    if (threadIdx.x < half)
      angles.of_pair[threadIdx.x] = angle_at(static_cast<int32_t>(position), threadIdx.x, half, in.base);
    __syncthreads();
  }
  const auto turn = [&](const T* x, T* y) {
    for (int64_t i = lane; i < half; i += 32) turn_pair(angles.of_pair[i], x, y, i, half);
  };
  const int64_t head = static_cast<int64_t>(blockIdx.y) * kHeadsOfBlock + threadIdx.x / 32;
  if (head >= in.rows.heads) {
    const int64_t at = in.queries.offset(batch, head - in.rows.heads, token);
    if (in.base != 0.0F && head < in.rows.heads + in.queries.heads) turn(in.q + at, in.turned + at);
    return;
  }
  const int64_t from = in.rows.offset(batch, head, token);
  const int64_t to = in.cache.offset(batch, head, position);
  if (in.base != 0.0F) turn(in.k + from, in.key_cache + to);
  for (int64_t i = lane; i < in.rows.dim; i += 32) {
    if (in.base == 0.0F) in.key_cache[to + i] = in.k[from + i];
    in.value_cache[to + i] = in.v[from + i];
  }
}

}  // namespace

void run(const AttentionCached& op, CudaStream& stream) {
  const Room room{op.offsets.data<int32_t>(), op.lengths ? op.lengths->data<int32_t>() : nullptr, op.q.shape[0],
                  op.q.shape[op.tokensFirst ? 1 : 2], op.keyCache.shape[2]};
  const HeadRows queries = head_rows(op.q.shape, op.tokensFirst);
  const HeadRows rows = head_rows(op.k.shape, op.tokensFirst);
  const HeadRows cache = head_rows(op.keyCache.shape, false);
  doubt_room(stream, room);
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    const bool turns = op.ropeBase != 0;
    const NewTokens<T> in{queries,
                          rows,
                          cache,
                          op.q.data<T>(),
                          op.k.data<T>(),
                          op.v.data<T>(),
                          turns ? stream.scratch_of<T>(op.q.count()) : nullptr,
                          op.keyCache.data<T>(),
                          op.valueCache.data<T>(),
                          static_cast<float>(op.ropeBase)};
    launch(stream, append_kernel<T>,
           {.blocks = room.batch * room.tokens,
            .threads = kThreads,
            .y = blocks_for(rows.heads + (turns ? queries.heads : 0), kHeadsOfBlock)},
           in, room);
    const AttentionInputs<T> all{turns ? in.turned : in.q,
                                 op.keyCache.data<T>(),
                                 op.valueCache.data<T>(),
                                 queries,
                                 cache,
                                 queries,
                                 static_cast<float>(op.softmaxScale)};
    attend(stream, room.batch, all, Sight{room}, op.y.data<T>(), nullptr, true);
  });
}

}  // namespace mglmm::cuda
