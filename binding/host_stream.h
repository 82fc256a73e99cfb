// The stream of a backend whose memory is the host's: kernels run where they are called.
#pragma once
#include <memory>
#include <vector>

#include "kernels/stream.h"
#include "kernels/tensor.h"

namespace mglmm {

class HostStream final : public Stream {
 public:
  std::byte* scratch(int64_t bytes) override;
  size_t scratch_count() const override { return scratch_.size(); }
  void keep_scratch(size_t count) override { scratch_.resize(count); }
  void allocate(Storage& storage) override;
  void upload(std::byte* to, const std::byte* from, int64_t bytes) override;
  void download(std::byte* to, const std::byte* from, int64_t bytes) override { upload(to, from, bytes); }
  void synchronize() override {}
  MemoryFigures memory() const override;
  void reset_peak() override;
  void set_memory_limit(int64_t bytes) override;
  void trim_memory() override;

 private:
  std::vector<std::unique_ptr<Storage>> scratch_;
};

}  // namespace mglmm
