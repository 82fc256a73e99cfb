#include "kernels/attention_cached.h"

#include <string>

#include "cuda/attention_tiles.cuh"

namespace mglmm::cuda {
namespace {

constexpr int kThreads = 256;

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
__global__ void __launch_bounds__(kThreads)
    append_kernel(HeadRows rows, HeadRows cache, Room room, const T* k, const T* v, T* key_cache, T* value_cache) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= room.batch * rows.heads * rows.tokens * rows.dim) return;
  const int64_t token = i / rows.dim % rows.tokens;
  const int64_t head = i / rows.dim / rows.tokens % rows.heads;
  const int64_t batch = i / rows.dim / rows.tokens / rows.heads;
  if (token >= room.real(batch)) return;
  const int64_t from = rows.offset(batch, head, token) + i % rows.dim;
  const int64_t to = cache.offset(batch, head, room.offsets[batch] + token) + i % rows.dim;
  key_cache[to] = k[from];
  value_cache[to] = v[from];
}

}  // namespace

void run(const AttentionCached& op, CudaStream& stream) {
  const int64_t dim = op.q.shape[3];
  const Room room{op.offsets.data<int32_t>(), op.lengths ? op.lengths->data<int32_t>() : nullptr, op.q.shape[0],
                  op.q.shape[op.tokensFirst ? 1 : 2], op.keyCache.shape[2]};
  const HeadRows queries = head_rows(op.q.shape, op.tokensFirst);
  const HeadRows rows = head_rows(op.k.shape, op.tokensFirst);
  const HeadRows cache = head_rows(op.keyCache.shape, false);
  doubt_room(stream, room);
  by_dtype(op.q.dtype, [&]<typename T>(Type<T>) {
    const int64_t count = room.batch * rows.heads * rows.tokens * dim;
    launch(stream, append_kernel<T>, {.blocks = blocks_for(count, kThreads), .threads = kThreads}, rows, cache, room,
           op.k.data<T>(), op.v.data<T>(), op.keyCache.data<T>(), op.valueCache.data<T>());
    const AttentionInputs<T> in{op.q.data<T>(),
                                op.keyCache.data<T>(),
                                op.valueCache.data<T>(),
                                queries,
                                cache,
                                queries,
                                static_cast<float>(op.softmaxScale)};
    attend(stream, room.batch, in, Sight{room}, op.y.data<T>(), nullptr, true);
  });
}

}  // namespace mglmm::cuda
