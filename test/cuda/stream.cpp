// A stream and its graphs, as far as nothing of JavaScript shows it.
#include "cuda/stream.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "simulator.h"

namespace mglmm::cuda {
namespace {

// Refuses place 5, value 7, where `wrong` says so.
__global__ void refuse_kernel(const int* wrong, Refusal* refused) {
  if (threadIdx.x == 0 && *wrong != 0) *refused = Refusal{5} << 32 | 7;
}

CudaStream::Complaint complaint(const std::string& name) {
  return [name](int64_t place, int32_t value) {
    return Error(kArgumentError, name + "[" + std::to_string(place) + "] is " + std::to_string(value));
  };
}

void ask(CudaStream& stream, const int* wrong, const std::string& name) {
  Refusal* word = stream.question();
  launch(stream, refuse_kernel, {.threads = 32}, wrong, word);
  stream.doubt(word, complaint(name));
}

std::string said_of(const std::shared_ptr<Doubt>& doubt) {
  require(doubt->decided, "doubts are decided by waiting");
  return doubt->error ? doubt->error->what() : "nothing";
}

// Of two questions of a graph the first is wrong; between launches nobody waits, and the stream has `open` doubts already.
void check_answers(CudaStream& stream, int open) {
  int wrong = 0, right = 0;
  const auto graph = stream.capture([&] {
    stream.question();  // that nobody doubts
    ask(stream, &wrong, "first");
    ask(stream, &right, "second");
  });
  for (const int value : {0, 1, 0, 0}) {
    wrong = value;
    for (int i = 0; i < open; ++i) ask(stream, &right, "another");
    stream.doubts.clear();
    graph->launch();
    graph->launch();
    require(stream.doubts.size() == 4, "each launch has the doubts of its graph");
    const auto doubts = stream.doubts;
    stream.synchronize();
    for (const size_t i : {0, 2})
      require(said_of(doubts[i]) == (value == 1 ? "first[5] is 7" : "nothing"), "the first's answer");
    for (const size_t i : {1, 3}) require(said_of(doubts[i]) == "nothing", "the second's answer");
    stream.keep_scratch(0);
  }
  stream.confirmed.reset();
}

void check_launch_without_memory(CudaStream& stream) {
  int value = 1;
  const auto graph = stream.capture([&] { stream.clear(&value, sizeof value); });
  refuse_simulated_launches(1);
  graph->launch();
  require(value == 0, "a launch that finds no memory is tried again");
  refuse_simulated_launches(2);
  value = 1;
  try {
    graph->launch();
  } catch (const Error& error) {
    require(
        error.is(kOutOfMemoryError) && std::string(error.what()).find("launching a graph: no memory is left on cuda:0") == 0,
        std::string("expected the error of memory, got ") + error.what());
    graph->launch();
    require(value == 0, "a graph outlives a launch that found no memory");
    return;
  }
  throw std::runtime_error("simulator: expected the error of memory, got none");
}

// A kernel that is launched for the first time needs memory of the driver's.
void check_kernel_without_memory(CudaStream& stream) {
  int wrong = 1;
  Refusal refused = kNothingRefused;
  const auto ask_now = [&] { launch(stream, refuse_kernel, {.threads = 32}, &wrong, &refused); };
  refuse_simulated_launches(1);
  ask_now();
  require(refused != kNothingRefused, "a kernel that finds no memory is tried again");
  refuse_simulated_launches(2);
  try {
    ask_now();
  } catch (const Error& error) {
    require(error.is(kOutOfMemoryError), std::string("expected the error of memory, got ") + error.what());
    ask_now();
    return;
  }
  throw std::runtime_error("simulator: expected the error of memory, got none");
}

// What others released while nothing is enqueued.
void check_settling(CudaStream& stream) {
  stream.settle();
  const int64_t before = stream.memory().cached_bytes;
  stream.pool()->release(stream.pool()->allocate(1000), 1000);
  require(stream.memory().cached_bytes > before, "what is released waits for the stream's thread");
  stream.settle();
  require(stream.memory().cached_bytes == before, "a stream that settles has given back what was released");
}

// What a kernel may read before those in front of it are done.
void check_settled(CudaStream& stream) {
  std::vector<std::byte> memory(96);
  const auto is_settled = [&](int64_t from, int64_t to) { return stream.is_settled({memory.data() + from, to - from}); };
  require(!is_settled(0, 96), "nothing is settled outside of a graph");
  const auto graph = stream.capture([&] {
    require(is_settled(0, 96), "a graph that has made nothing");
    const auto storage = std::make_shared<Storage>();
    storage->data = memory.data();
    const auto made = [&](int64_t offset, int64_t elements) {
      TensorRef tensor;
      tensor.storage = storage;
      tensor.offset = offset;
      tensor.shape = {elements};
      stream.note_made(tensor);
    };
    made(32, 8);
    require(is_settled(0, 32) && is_settled(64, 96), "beside what is made");
    require(!is_settled(0, 33) && !is_settled(63, 96) && !is_settled(40, 44) && !is_settled(0, 96), "what is made");
    made(0, 0);
    require(is_settled(0, 32), "a tensor without elements");
    stream.note_made({});
    constexpr int64_t kBytes = 1000;
    const std::byte* scratch = stream.scratch(kBytes);
    require(!stream.is_settled({scratch, kBytes}), "memory of the graph itself");
    stream.keep_scratch(0);
    require(!stream.is_settled({scratch, kBytes}), "memory of the graph that it has given back");
  });
  require(!is_settled(0, 32), "nothing is settled behind a graph");
}

// More than pinned memory for small copies holds at a time.
void check_small_uploads(CudaStream& stream) {
  std::vector<std::byte> from(64 << 10), to(from.size());
  for (int round = 0; round < 40; ++round) {
    const auto bytes = from.size() - static_cast<size_t>(7 * (round % 5));
    std::memset(from.data(), round + 1, bytes);
    stream.upload(to.data(), from.data(), static_cast<int64_t>(bytes));
    std::memset(from.data(), 0, bytes);
    stream.synchronize();
    const auto expected = static_cast<std::byte>(round + 1);
    require(
        std::all_of(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(bytes), [=](std::byte b) { return b == expected; }),
        "small copies");
  }
}

}  // namespace

void check_stream(CudaStream& stream) {
  for (const int open : {0, 3, 1022, 1023, 1024}) check_answers(stream, open);
  check_launch_without_memory(stream);
  check_kernel_without_memory(stream);
  check_settling(stream);
  check_settled(stream);
  check_small_uploads(stream);
}

}  // namespace mglmm::cuda
