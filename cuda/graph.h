// What was enqueued on a stream while it was captured, as one launch. It keeps what its kernels read of the host: tables,
// and the words that questions are answered in.
#pragma once
#include "cuda/stream.h"

namespace mglmm::cuda {

class CudaGraph final : public Graph {
 public:
  // `stream` outlives its programs' launches.
  explicit CudaGraph(CudaStream& stream);
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  ~CudaGraph() override;

  void launch() override;

  void begin();  // of the capture; throws KernelError

  // While its stream is captured --------------------------------------------------------------------------------------
  // A copy of host memory, for as long as the graph lives.
  const std::byte* keep(const std::byte* from, int64_t bytes);
  // A word that stays over all launches until what it says is known. Throws KernelError when there are too many.
  Refusal* question();
  void doubt(const Refusal* word, CudaStream::Complaint complaint);
  void note_made(const MemoryRange& memory);
  bool has_made(const MemoryRange& memory) const;  // any of it; of its own memory it makes all
  void finish();                                   // ends the capture; throws KernelError

 private:
  struct Asked {
    CudaStream::Complaint complaint;
    std::shared_ptr<const Refusal> answer;  // outlives the graph where nobody has looked at it yet
    std::shared_ptr<Doubt> doubt;           // of the launches since the last were decided
  };

  CudaStream& stream_;
  std::shared_ptr<Pool> pool_;
  GraphMemory memory_;
  cudaGraphExec_t graph_ = nullptr;
  std::vector<void*> tables_;         // pinned
  Refusal* words_ = nullptr;          // on the device
  std::shared_ptr<Refusal> answers_;  // pinned
  size_t questions_ = 0;
  std::vector<Asked> asked_;
  std::vector<MemoryRange> made_;
};

}  // namespace mglmm::cuda
