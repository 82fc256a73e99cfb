#include "cuda/graph.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mglmm::cuda {
namespace {

constexpr size_t kQuestions = 256;
constexpr size_t kWordBytes = kQuestions * sizeof(Refusal);

}  // namespace

CudaGraph::CudaGraph(CudaStream& stream) : stream_(stream), pool_(stream.pool()) {
  void* memory = nullptr;
  expect(cudaMallocHost(&memory, kWordBytes), "allocating pinned memory");
  answers_ = {static_cast<Refusal*>(memory), [](Refusal* answers) { cudaFreeHost(answers); }};
  expect(cudaMallocAsync(&memory, kWordBytes, stream.handle()), "allocating memory");
  words_ = static_cast<Refusal*>(memory);
}

void CudaGraph::begin() {
  pool_->begin_capture(memory_);
  const cudaError_t error = cudaStreamBeginCapture(stream_.handle(), cudaStreamCaptureModeRelaxed);
  if (error != cudaSuccess) pool_->end_capture();
  expect(error, "capturing a stream");
}

// What was launched is waited for.
CudaGraph::~CudaGraph() {
  pool_->bind();
  cudaStreamSynchronize(pool_->stream);
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  pool_->free(memory_);
  cudaFreeAsync(words_, pool_->stream);
  for (void* table : tables_) cudaFreeHost(table);
}

// The answers to all questions come in one copy.
void CudaGraph::finish() {
  const cudaError_t copied = questions_ == 0 ? cudaSuccess
                                             : cudaMemcpyAsync(answers_.get(), words_, questions_ * sizeof(Refusal),
                                                               cudaMemcpyDeviceToHost, stream_.handle());
  cudaGraph_t collected = nullptr;
  cudaError_t error = cudaStreamEndCapture(stream_.handle(), &collected);
  pool_->end_capture();
  expect(error, "ending the capture of a stream");
  error = copied != cudaSuccess ? copied : pool_->with_room([&] { return cudaGraphInstantiate(&graph_, collected, 0); });
  cudaGraphDestroy(collected);
  pool_->expect_room(error, "making a graph");
}

void CudaGraph::launch() {
  if (!asked_.empty() && (asked_[0].doubt == nullptr || asked_[0].doubt->decided)) {
    stream_.make_room_for_doubts(asked_.size());
    stream_.clear_refusals(words_, kWordBytes);
    std::fill_n(answers_.get(), questions_, kNothingRefused);  // should the launch fail; nothing is on its way into them
    for (Asked& one : asked_) one.doubt = stream_.await(one.answer, one.complaint);
  }
  for (const Asked& one : asked_) stream_.doubts.push_back(one.doubt);
  pool_->expect_room(pool_->with_room([&] { return cudaGraphLaunch(graph_, stream_.handle()); }), "launching a graph");
}

const std::byte* CudaGraph::keep(const std::byte* from, int64_t bytes) {
  void* memory = nullptr;
  expect(cudaMallocHost(&memory, static_cast<size_t>(bytes)), "allocating pinned memory");
  tables_.push_back(memory);
  std::memcpy(memory, from, static_cast<size_t>(bytes));
  return static_cast<const std::byte*>(memory);
}

Refusal* CudaGraph::question() {
  if (questions_ == kQuestions) throw Error(kKernelError, "a graph asks too many questions");
  return words_ + questions_++;
}

void CudaGraph::doubt(const Refusal* word, CudaStream::Complaint complaint) {
  asked_.push_back({std::move(complaint), {answers_, answers_.get() + (word - words_)}, nullptr});
}

void CudaGraph::note_made(const MemoryRange& memory) { made_.push_back(memory); }

bool CudaGraph::has_made(const MemoryRange& memory) const {
  const auto meets = [&](const MemoryRange& range) { return range.meets(memory); };
  return std::ranges::any_of(made_, meets) || std::ranges::any_of(memory_.taken, meets);
}

}  // namespace mglmm::cuda
