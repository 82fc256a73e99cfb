#include "cuda/graph.h"

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
  pool_->begin_capture();
  const cudaError_t error = cudaStreamBeginCapture(stream_.handle(), cudaStreamCaptureModeRelaxed);
  if (error != cudaSuccess) pool_->end_capture();
  expect(error, "capturing a stream");
}

// What was launched is waited for.
CudaGraph::~CudaGraph() {
  cudaStreamSynchronize(pool_->stream);
  if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  cudaFreeAsync(words_, pool_->stream);
  for (void* table : tables_) cudaFreeHost(table);
}

void CudaGraph::finish() {
  cudaGraph_t collected = nullptr;
  cudaError_t error = cudaStreamEndCapture(stream_.handle(), &collected);
  pool_->end_capture();
  expect(error, "ending the capture of a stream");
  error = cudaGraphInstantiate(&graph_, collected, 0);
  cudaGraphDestroy(collected);
  expect(error, "making a graph");
}

void CudaGraph::launch() {
  if (!asked_.empty() && (asked_[0].doubt == nullptr || asked_[0].doubt->decided)) {
    stream_.clear_refusals(words_, kWordBytes);
    for (Asked& one : asked_) one.doubt = stream_.await(one.answer, one.complaint);
  }
  for (const Asked& one : asked_) stream_.doubts.push_back(one.doubt);
  expect(cudaGraphLaunch(graph_, stream_.handle()), "launching a graph");
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
  Refusal* answer = answers_.get() + asked_.size();
  expect(cudaMemcpyAsync(answer, word, sizeof(Refusal), cudaMemcpyDeviceToHost, stream_.handle()),
         "copying from the device");
  asked_.push_back({std::move(complaint), {answers_, answer}, nullptr});
}

}  // namespace mglmm::cuda
