// Which products of few rows are one launch.
#include "cuda/few_rows.cuh"

#include <vector>

#include "simulator.h"

namespace mglmm::cuda {

void check_few_rows(CudaStream& stream) {
  constexpr int64_t kRows = 4, kInner = 64, kColumns = 40, kResult = kRows * kColumns;
  constexpr int64_t kBytesOfX = 2 * kRows * kInner;
  std::vector<bf16> x(kRows * kInner), other(kRows * kInner), weights(4 * kColumns * kInner), results(6 * kResult);
  const auto bytes = [](auto* numbers) { return reinterpret_cast<std::byte*>(numbers); };
  const auto result = [&](int which) { return bytes(results.data() + which * kResult); };
  // What is held back then.
  const auto multiply = [&](const std::byte* a, int which, const std::byte* addend = nullptr) {
    const Product p{.rows = kRows,
                    .columns = kColumns,
                    .inner = kInner,
                    .b_transposed = true,
                    .dtype = Dtype::bf16,
                    .result = Dtype::bf16,
                    .addend = addend};
    multiply_few_rows(stream, p, a, bytes(weights.data() + which % 4 * kColumns * kInner), nullptr, result(which));
    return stream.held();
  };
  const std::byte* rows = bytes(x.data());
  require(multiply(rows, 0) == nullptr, "outside of a graph nothing is held back");
  const auto graph = stream.capture([&] {
    const HeldWork* first = multiply(rows, 0);
    require(first != nullptr && multiply(rows, 1) == first && multiply(rows, 2) == first, "three of the same rows");
    const HeldWork* fourth = multiply(rows, 3);
    require(fourth != nullptr && fourth != first, "a fourth");
    const HeldWork* with_others = multiply(bytes(other.data()), 0);
    require(with_others != fourth, "other rows");
    const HeldWork* reader = multiply(bytes(other.data()), 1, result(0));
    require(reader != with_others, "one that reads what is made before");
    require(multiply(bytes(other.data()), 0) != reader, "one that makes what is read before");
    const HeldWork* maker = multiply(rows, 4);
    require(multiply(rows, 4) != maker, "one that makes the same");
    stream.clear(result(5), 2);
    require(stream.held() == nullptr, "what else is enqueued comes behind");
    const std::byte* own = stream.scratch(kBytesOfX);
    require(multiply(own, 0) != nullptr, "rows of the graph's own");
    stream.keep_scratch(0);
    require(stream.scratch(kBytesOfX) == own && stream.held() == nullptr, "memory that is given out again");
    multiply(rows, 5);
  });
  require(stream.held() == nullptr, "nothing is left behind a graph");
  graph->launch();
  stream.synchronize();
}

}  // namespace mglmm::cuda
