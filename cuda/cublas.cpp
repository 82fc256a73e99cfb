// cuBLASLt, named here alone. The algorithm for sizes met before is remembered: to ask for it takes longer than a small
// product. It follows from all sizes, and orders the sums; a few rows by one matrix, those of a step of generation, take the
// one of kFewRows, so that a row has the same bits whatever rows come along. That there is none is remembered as well.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "cuda/product.h"

namespace mglmm::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr size_t kRemembered = 4096;
constexpr int kOffers = 8;  // algorithms that are asked for: the first may not be for these matrices

void expect_done(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(kKernelError, std::string(what) + ": " + cublasLtGetStatusString(status));
}

using Key = std::array<int64_t, 11>;
struct Choice {
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace;
  int64_t rows;  // to run it with: more than there are where it does not take so few; 0: there is none
};

// Of one device.
struct Library {
  cublasLtHandle_t handle = nullptr;
  std::map<Key, Choice> choices;
};

struct Libraries {
  std::mutex mutex;
  std::map<int, Library> by_device;
};

Libraries& libraries() {
  static auto* libraries = new Libraries;  // never destroyed: the driver may be gone by then
  return *libraries;
}

cudaDataType_t type_of(Dtype dtype) {
  return dtype == Dtype::bf16 ? CUDA_R_16BF : dtype == Dtype::f16 ? CUDA_R_16F : CUDA_R_32F;
}

// The largest power of two up to 16 that divides the address of each row of a matrix: algorithms ask for some.
int64_t alignment(const void* memory, int64_t row_bytes) {
  const auto address = reinterpret_cast<uintptr_t>(memory) | static_cast<uintptr_t>(row_bytes) | 16;
  return static_cast<int64_t>(address & (~address + 1));
}

struct Matrices {
  const std::byte* a;
  const std::byte* b;
  const std::byte* bias;
  const std::byte* addend;  // y where there is none
  std::byte* y;
};

// A matrix as cuBLAS sees it: what is row-major here has rows and columns changed over there.
struct Layout {
  cublasLtMatrixLayoutOpaque_t opaque;
  Layout(Dtype dtype, int64_t rows, int64_t columns, int64_t stack, bool shared) {
    const auto count = static_cast<int32_t>(stack);
    const int64_t step = shared ? 0 : rows * columns;
    expect_done(cublasLtMatrixLayoutInit(&opaque, type_of(dtype), static_cast<uint64_t>(columns),
                                         static_cast<uint64_t>(rows), columns),
                "describing a matrix");
    expect_done(cublasLtMatrixLayoutSetAttribute(&opaque, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
                "describing a stack");
    expect_done(cublasLtMatrixLayoutSetAttribute(&opaque, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
                "describing a stack");
  }
};

struct Operation {
  cublasLtMatmulDescOpaque_t opaque;
  Operation(const Product& p, const std::byte* bias) {
    expect_done(cublasLtMatmulDescInit(&opaque, p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
                "describing a product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);  // theirs is our b
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (bias == nullptr) return;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.dtype));
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    expect_done(cublasLtMatmulDescSetAttribute(&opaque, attribute, &value, sizeof value), "describing a product");
  }
};

// A product as cuBLASLt is told of it. Theirs is b first, then a.
struct Problem {
  Operation operation;
  Layout first, second, result;
  std::array<int64_t, 4> alignments;

  Problem(const Product& p, const Matrices& at)
      : operation(p, at.bias),
        first(p.dtype, p.b_transposed ? p.columns : p.inner, p.b_transposed ? p.inner : p.columns, p.stack, p.b_shared),
        second(p.dtype, p.a_transposed ? p.inner : p.rows, p.a_transposed ? p.rows : p.inner, p.stack, p.a_shared),
        result(p.result, p.rows, p.columns, p.stack, false) {
    const int64_t size = size_of(p.dtype);
    const int64_t result_bytes = p.columns * size_of(p.result);
    alignments = {alignment(at.b, (p.b_transposed ? p.inner : p.columns) * size),
                  alignment(at.a, (p.a_transposed ? p.rows : p.inner) * size), alignment(at.addend, result_bytes),
                  alignment(at.y, result_bytes)};
  }

  Choice ask(cublasLtHandle_t handle, int64_t rows) {
    cublasLtMatmulPreferenceOpaque_t preference;
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      expect_done(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
                  "choosing an algorithm");
    };
    expect_done(cublasLtMatmulPreferenceInit(&preference), "choosing an algorithm");
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    // Sums are never kept in bf16 or f16 between.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<uint32_t>(alignments[0]));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(alignments[1]));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(alignments[2]));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(alignments[3]));
    std::array<cublasLtMatmulHeuristicResult_t, kOffers> offers{};
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, &operation.opaque, &first.opaque, &second.opaque, &result.opaque,
                                       &result.opaque, &preference, kOffers, offers.data(), &count);
    if (status != CUBLAS_STATUS_SUCCESS) count = 0;
    for (int i = 0; i < count; ++i) {
      const cublasLtMatmulHeuristicResult_t& offer = offers[static_cast<size_t>(i)];
      if (offer.state == CUBLAS_STATUS_SUCCESS && offer.workspaceSize <= kWorkspaceBytes)
        return {offer.algo, offer.workspaceSize, rows};
    }
    return {};
  }

  // The workspace that an algorithm chosen for another number of rows needs for these, or nothing where it is not for them.
  std::optional<size_t> workspace_of(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& algorithm) {
    cublasLtMatmulHeuristicResult_t found{};
    const cublasStatus_t status = cublasLtMatmulAlgoCheck(handle, &operation.opaque, &first.opaque, &second.opaque,
                                                          &result.opaque, &result.opaque, &algorithm, &found);
    if (status == CUBLAS_STATUS_SUCCESS && found.workspaceSize <= kWorkspaceBytes) return found.workspaceSize;
    return std::nullopt;
  }
};

Choice& choose(Library& library, const Product& p, const Matrices& at, Problem& problem) {
  const int64_t flags = int64_t{p.a_transposed} | int64_t{p.b_transposed} << 1 | int64_t{p.a_shared} << 2 |
                        int64_t{p.b_shared} << 3 | int64_t{at.bias != nullptr} << 4 | int64_t{p.tf32} << 5;
  const Key key{p.stack,
                p.rows,
                p.columns,
                p.inner,
                flags,
                static_cast<int64_t>(p.dtype),
                static_cast<int64_t>(p.result),
                problem.alignments[0],
                problem.alignments[1],
                problem.alignments[2],
                problem.alignments[3]};
  if (const auto place = library.choices.find(key); place != library.choices.end()) return place->second;
  Choice choice{};
  if (p.rows < kFewRows && p.stack == 1 && !p.a_transposed) {
    Product more = p;
    more.rows = kFewRows;
    Problem more_rows(more, at);
    choice = choose(library, more, at, more_rows);
    const auto workspace = choice.rows > 0 ? problem.workspace_of(library.handle, choice.algorithm) : std::nullopt;
    if (workspace) {
      choice.workspace = *workspace;
      choice.rows = p.rows;
    }
  } else {
    choice = problem.ask(library.handle, p.rows);
  }
  return library.choices.emplace(key, choice).first->second;
}

// The same with rows of zeros behind those there are, up to `rows`.
bool multiply_among(CudaStream& stream, Product p, int64_t rows, const Matrices& at) {
  const auto lengthened = [&](const std::byte* from, int64_t row_bytes) {
    std::byte* more = stream.scratch(rows * row_bytes);
    stream.copy(more, from, p.rows * row_bytes);
    stream.clear(more + p.rows * row_bytes, (rows - p.rows) * row_bytes);
    return more;
  };
  const int64_t result_bytes = p.columns * size_of(p.result);
  const std::byte* a = lengthened(at.a, p.inner * size_of(p.dtype));
  if (p.addend != nullptr) p.addend = lengthened(p.addend, result_bytes);
  std::byte* y = stream.scratch(rows * result_bytes);
  const int64_t count = std::exchange(p.rows, rows);
  if (!multiply(stream, p, a, at.b, at.bias, y)) return false;
  stream.copy(at.y, y, count * result_bytes);
  return true;
}

}  // namespace

bool multiply(CudaStream& stream, const Product& p, const std::byte* a, const std::byte* b, const std::byte* bias,
              std::byte* y) {
  const Matrices at{a, b, bias, p.addend == nullptr ? y : p.addend, y};
  Problem problem(p, at);
  // For rows off 16 bytes there are kernels alone that round to bf16 or f16 before they add the bias.
  if (bias != nullptr && p.result != Dtype::f32 && std::ranges::min(problem.alignments) < 16) return false;
  Choice choice{};
  cublasLtHandle_t handle = nullptr;
  int device = 0;
  expect(cudaGetDevice(&device), "asking for the device");
  Libraries& all = libraries();
  {
    const std::lock_guard lock(all.mutex);
    Library& library = all.by_device[device];
    if (library.handle == nullptr) expect_done(cublasLtCreate(&library.handle), "starting cuBLASLt");
    handle = library.handle;
    if (library.choices.size() > kRemembered) library.choices.clear();
    choice = choose(library, p, at, problem);
  }
  if (choice.rows == 0) return false;
  if (choice.rows > p.rows) return multiply_among(stream, p, choice.rows, at);
  const float one = 1;
  const float share = p.addend == nullptr ? 0 : 1;  // of the addend
  std::byte* workspace = choice.workspace == 0 ? nullptr : stream.scratch(static_cast<int64_t>(choice.workspace));
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  const auto multiply = [&] {
    status = cublasLtMatmul(handle, &problem.operation.opaque, &one, b, &problem.first.opaque, a, &problem.second.opaque,
                            &share, at.addend, &problem.result.opaque, y, &problem.result.opaque, &choice.algorithm,
                            workspace, choice.workspace, stream.handle());
    return status == CUBLAS_STATUS_ALLOC_FAILED ? cudaErrorMemoryAllocation : cudaSuccess;
  };
  stream.expect_enqueued(multiply, "multiplying matrices");
  if (status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_INVALID_VALUE) {
    expect_done(status, "multiplying matrices");
    return true;
  }
  const std::lock_guard lock(all.mutex);
  choose(all.by_device[device], p, at, problem).rows = 0;
  return false;
}

}  // namespace mglmm::cuda
