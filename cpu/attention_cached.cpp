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
  const int64_t capacity = op.keyCache.shape[2];
  const auto refuse = [](const char* name, int64_t b, int64_t got, const std::string& expected) {
    throw Error(kArgumentError, std::string("attentionCached: ") + name + "[" + std::to_string(b) + "] is " +
                                    std::to_string(got) + ", expected " + expected);
  };
  for (int64_t b = 0; b < op.q.shape[0]; ++b) {
    const int64_t length = op.lengths ? op.lengths->data<int32_t>()[b] : tokens;
    const int64_t offset = op.offsets.data<int32_t>()[b];
    if (length < 0 || length > tokens) refuse("lengths", b, length, "0 to the " + std::to_string(tokens) + " tokens of q");
    if (offset < 0 || offset + length > capacity) {
      refuse("offsets", b, offset,
             "0 to " + std::to_string(capacity - length) + ", as the cache holds " + std::to_string(capacity) +
                 " tokens and " + std::to_string(length) + " are new");
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
  const auto copy = [&](const Heads& from, const Heads& to, int64_t b, int64_t token, int64_t place) {
    for (int64_t head = 0; head < problem.kv_heads; ++head) {
      std::memcpy(at(to, b, place) + unit * head * to.head_stride, at(from, b, token) + unit * head * from.head_stride,
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
      const int64_t place = problem.offsets[b] + token;
      copy(v, problem.v, b, token, place);
      if (!rotation) {
        copy(k, problem.k, b, token, place);
        continue;
      }
      const Rotation::Angles angles = rotation->at(static_cast<int32_t>(place));
      rotation->turn(angles, q.dtype, problem.heads, at(q, b, token), q.head_stride, at(problem.q, b, token), q.head_stride);
      rotation->turn(angles, k.dtype, problem.kv_heads, at(k, b, token), k.head_stride, at(problem.k, b, place),
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
  append(op, problem, stream);
  attend(problem, stream);
}

}  // namespace mglmm::cpu
