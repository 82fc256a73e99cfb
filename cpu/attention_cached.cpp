#include "kernels/attention_cached.h"

#include <cstring>
#include <optional>
#include <string>

#include "cpu/attention/attend.h"
#include "cpu/parallel.h"
#include "cpu/rotation.h"
#include "kernels/error.h"

namespace mglmm::cpu {
namespace {

void expect_room(const AttentionCached& op, int64_t tokens) {
  const int64_t pages = op.keyCache.shape[0], page_tokens = op.keyCache.shape[2];
  const int64_t row_pages = op.pageTable ? op.pageTable->shape[1] : 1, capacity = row_pages * page_tokens;
  const auto refuse = [](const char* name, const std::string& place, int64_t got, const std::string& expected) {
    throw Error(kArgumentError, std::string("attentionCached: ") + name + "[" + place + "] is " + std::to_string(got) +
                                    ", expected " + expected);
  };
  for (int64_t b = 0; b < op.q.shape[0]; ++b) {
    const int64_t length = op.lengths ? op.lengths->data<int32_t>()[b] : tokens;
    const int64_t offset = op.offsets.data<int32_t>()[b];
    if (length < 0 || length > tokens)
      refuse("lengths", std::to_string(b), length, "0 to the " + std::to_string(tokens) + " tokens of q");
    if (offset < 0 || offset + length > capacity) {
      refuse("offsets", std::to_string(b), offset,
             "0 to " + std::to_string(capacity - length) + ", as the cache holds " + std::to_string(capacity) +
                 " tokens and " + std::to_string(length) + " are new");
    }
    if (!op.pageTable || length == 0) continue;
    for (int64_t i = 0; i * page_tokens < offset + length; ++i) {
      const int64_t page = op.pageTable->data<int32_t>()[b * row_pages + i];
      if (page >= 0 && page < pages) continue;
      refuse("pageTable", std::to_string(b) + ", " + std::to_string(i), page,
             "0 to " + std::to_string(pages - 1) + ", as the cache has " + std::to_string(pages) + " pages");
    }
  }
}

// Puts the new tokens of `op` into the cache of `problem`, turned if that is wanted; then its queries are turned too, in
// memory of their own. Sets to 0 what comes of tokens that are not real.
void append(const AttentionCached& op, AttentionProblem& problem, Stream& stream) {
  const Heads q = problem.q, k = heads_of(op.k, op.tokensFirst), v = heads_of(op.v, op.tokensFirst);
  const int64_t unit = size_of(q.dtype), dim = problem.head_dim, tokens = problem.queries;
  std::optional<Rotation> rotation;
  if (op.ropeBase != 0) {
    rotation.emplace(dim, op.ropeBase, stream);
    problem.q.data = stream.scratch(op.q.bytes());
  }
  const auto at = [unit](const Heads& heads, int64_t b, int64_t token) {
    return heads.data + unit * (b * heads.batch_stride + token * heads.token_stride);
  };
  const auto cached_at = [&](const Heads& cache, int64_t b, int64_t position) {
    const AttentionProblem::Place place = problem.place_of(b, position);
    return at(cache, place.page, place.token);
  };
  const auto copy = [&](const Heads& from, const Heads& cache, int64_t b, int64_t token, int64_t position) {
    const std::byte* source = at(from, b, token);
    std::byte* target = cached_at(cache, b, position);
    for (int64_t head = 0; head < problem.kv_heads; ++head) {
      std::memcpy(target + unit * head * cache.head_stride, source + unit * head * from.head_stride,
                  static_cast<size_t>(unit * dim));
    }
  };
  const int64_t grain = std::max<int64_t>(1, kElementGrain / ((problem.heads + 2 * problem.kv_heads) * dim + 1));
  parallel_ranges(problem.batch * tokens, grain, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t b = index / tokens, token = index % tokens;
      if (token >= problem.queries_of(b)) {
        for (int64_t head = 0; head < problem.heads; ++head)
          std::memset(at(problem.y, b, token) + unit * head * problem.y.head_stride, 0, static_cast<size_t>(unit * dim));
        continue;
      }
      const int64_t position = problem.offsets[b] + token;
      copy(v, problem.v, b, token, position);
      if (!rotation) {
        copy(k, problem.k, b, token, position);
        continue;
      }
      const Rotation::Angles angles = rotation->at(static_cast<int32_t>(position));
      rotation->turn(angles, q.dtype, problem.heads, at(q, b, token), q.head_stride, at(problem.q, b, token), q.head_stride);
      rotation->turn(angles, k.dtype, problem.kv_heads, at(k, b, token), k.head_stride, cached_at(problem.k, b, position),
                     problem.k.head_stride);
    }
  });
}

}  // namespace

void run(const AttentionCached& op, Stream& stream) {
  const int heads_axis = op.tokensFirst ? 2 : 1, tokens_axis = op.tokensFirst ? 1 : 2;
  const int64_t tokens = op.q.shape[tokens_axis];
  expect_room(op, tokens);
  AttentionProblem problem;
  problem.q = heads_of(op.q, op.tokensFirst);
  problem.k = heads_of(op.keyCache, false);
  problem.v = heads_of(op.valueCache, false);
  problem.y = heads_of(op.y, op.tokensFirst);
  problem.batch = op.q.shape[0];
  problem.heads = op.q.shape[heads_axis];
  problem.kv_heads = op.k.shape[heads_axis];
  problem.queries = tokens;
  problem.head_dim = op.q.shape[3];
  problem.scale = static_cast<float>(op.softmaxScale);
  problem.causal = true;
  problem.lengths = op.lengths ? op.lengths->data<int32_t>() : nullptr;
  problem.offsets = op.offsets.data<int32_t>();
  if (op.pageTable) {
    problem.page_table = op.pageTable->data<int32_t>();
    problem.row_pages = op.pageTable->shape[1];
    problem.page_tokens = op.keyCache.shape[2];
  }
  append(op, problem, stream);
  attend(problem, stream);
}

}  // namespace mglmm::cpu
