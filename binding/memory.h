// Host memory of tensors: a process-wide pool, because fresh pages cost more than the arithmetic on them.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/tensor.h"

namespace mglmm {

// Gives `storage` its memory if it has none yet. Any thread. Throws OutOfMemoryError, with the figures.
void allocate_host(Storage& storage);
// Takes back what allocate_host gave; the next allocate_host gives anew. Any thread.
void release_host(Storage& storage);
// Maps `bytes` of a file from `offset`, private (writes stay in this process). Throws ArgumentError.
std::shared_ptr<Storage> map_file(const std::string& path, int64_t offset, int64_t bytes);
// Throws OutOfMemoryError when a tensor of `bytes` could never be had.
void expect_possible(int64_t bytes);

MemoryFigures memory_figures();
void reset_peak();
void set_memory_limit(int64_t bytes);
void trim_memory();  // gives cached memory back to the system

}  // namespace mglmm
