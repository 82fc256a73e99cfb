#include "kernels/attention_cached.h"

#include <cstring>
#include <string>

#include "cpu/attention/attend.h"
#include "cpu/parallel.h"
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

}  // namespace

void run(const AttentionCached& op, Stream& stream) {
  const int heads_axis = op.tokensFirst ? 2 : 1, tokens_axis = op.tokensFirst ? 1 : 2;
  const int64_t tokens = op.q.shape[tokens_axis], head_dim = op.q.shape[3], bytes = head_dim * size_of(op.q.dtype);
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
  problem.head_dim = head_dim;
  problem.scale = static_cast<float>(op.softmaxScale);
  problem.causal = true;
  problem.lengths = op.lengths ? op.lengths->data<int32_t>() : nullptr;
  problem.offsets = op.offsets.data<int32_t>();

  const Heads k = heads_of(op.k, op.tokensFirst), v = heads_of(op.v, op.tokensFirst);
  const int64_t unit = size_of(op.q.dtype);
  parallel_ranges(problem.batch * problem.kv_heads, std::max<int64_t>(1, kElementGrain / (tokens * head_dim + 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t index = begin; index < end; ++index) {
                      const int64_t b = index / problem.kv_heads, head = index % problem.kv_heads;
                      const auto place = [&](const Heads& heads, int64_t token) {
                        return heads.data +
                               unit * (b * heads.batch_stride + head * heads.head_stride + token * heads.token_stride);
                      };
                      for (int64_t token = 0; token < problem.queries_of(b); ++token) {
                        const int64_t at = problem.offsets[b] + token;
                        std::memcpy(place(problem.k, at), place(k, token), static_cast<size_t>(bytes));
                        std::memcpy(place(problem.v, at), place(v, token), static_cast<size_t>(bytes));
                      }
                    }
                  });
  for (int64_t b = 0; b < problem.batch; ++b) {  // tokens that are not real
    for (int64_t head = 0; head < problem.heads; ++head) {
      for (int64_t token = problem.queries_of(b); token < tokens; ++token) {
        std::memset(problem.y.data +
                        unit * (b * problem.y.batch_stride + head * problem.y.head_stride + token * problem.y.token_stride),
                    0, static_cast<size_t>(bytes));
      }
    }
  }
  attend(problem, stream);
}

}  // namespace mglmm::cpu
