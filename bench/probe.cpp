// What this machine can do at most, printed as JSON: f32 fused multiply-adds in registers, bf16 products by the best unit
// there is, reads of a buffer that no cache holds. `mglmm_probe THREADS`; each figure is the best of several rounds.
// `mglmm_probe THREADS read` reads the buffer once for each line of its input and prints the GB/s: where other machines
// share the memory, it is to be measured beside what is compared with it.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

constexpr int kRounds = 5;
constexpr int kChains = 16;  // independent sums: enough to hide the latency of a fused multiply-add on two ports
volatile float sink;

// Seconds of `body(thread)` on all threads at once.
double seconds_of(int threads, const std::function<void(int)>& body) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> team;
  team.reserve(static_cast<size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) team.emplace_back(body, thread);
  for (std::thread& member : team) member.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_seconds(int threads, const std::function<void(int)>& body) {
  double best = 1e30;
  for (int round = 0; round < kRounds; ++round) best = std::min(best, seconds_of(threads, body));
  return best;
}

// kSteps x kChains fused multiply-adds of `Vector`.
template <typename Vector>
[[gnu::always_inline]] inline void multiply_add(int64_t steps) {
  constexpr int kLanes = sizeof(Vector) / sizeof(float);
  Vector sums[kChains] = {};
  Vector factor = Vector{} + 0.999F;
  Vector term = Vector{} + 0.001F;
  asm volatile("" : "+m"(factor), "+m"(term));  // unknown to the compiler
  for (int64_t step = 0; step < steps; ++step) {
    for (Vector& sum : sums) sum = sum * factor + term;
  }
  float total = 0;
  for (const Vector& sum : sums) {
    for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  }
  sink = total;
}

using Vector4 = float __attribute__((vector_size(16)));
using Vector8 = float __attribute__((vector_size(32)));
using Vector16 = float __attribute__((vector_size(64)));

struct Kernel {
  void (*run)(int64_t steps);
  double flops_per_step;
  double flops_a_run = 1e10;  // a tenth of a second or so
};

double gigaflops(int threads, const Kernel& kernel) {
  const auto steps = static_cast<int64_t>(kernel.flops_a_run / kernel.flops_per_step);
  const double seconds = best_seconds(threads, [&](int) { kernel.run(steps); });
  return kernel.flops_per_step * static_cast<double>(steps) * threads / seconds / 1e9;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void f32_avx512(int64_t steps) { multiply_add<Vector16>(steps); }
__attribute__((target("avx2,fma"))) void f32_avx2(int64_t steps) { multiply_add<Vector8>(steps); }

__attribute__((target("avx512f,avx512bf16"))) void bf16_avx512(int64_t steps) {
  __m512 sums[kChains];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  __m512 bits = _mm512_set1_ps(0.001F);
  asm volatile("" : "+m"(bits));
  const auto factor = reinterpret_cast<__m512bh>(bits);
  for (int64_t step = 0; step < steps; ++step) {
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, factor, factor);
  }
  __m512 total = sums[0];
  for (int chain = 1; chain < kChains; ++chain) total = _mm512_add_ps(total, sums[chain]);
  sink = _mm512_cvtss_f32(total);
}

// Tiles of the matrix unit: 16 rows of 64 bytes, the layout of `palette 1`.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

__attribute__((target("amx-tile,amx-bf16"))) void bf16_amx(int64_t steps) {
  const TileConfig config;
  asm volatile("" ::"r"(&config) : "memory");  // GCC 12 believes the next line reads 8 bytes only and drops the rest
  _tile_loadconfig(&config);
  alignas(64) static const uint8_t zeros[1024] = {};
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, zeros, 64);
  _tile_loadd(5, zeros, 64);
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
  for (int64_t step = 0; step < steps; ++step) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

// The kernel hands out the tile state on request only.
bool amx_granted() {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  uint32_t info[4];
  asm volatile("cpuid" : "=a"(info[0]), "=b"(info[1]), "=c"(info[2]), "=d"(info[3]) : "a"(7), "c"(0));
  const bool present = (info[3] & (1U << 22)) != 0 && (info[3] & (1U << 24)) != 0;
  return present && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

void f32_baseline(int64_t steps) { multiply_add<Vector4>(steps); }

Kernel f32_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {f32_avx512, 2.0 * 16 * kChains};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {f32_avx2, 2.0 * 8 * kChains};
#endif
  return {f32_baseline, 2.0 * 4 * kChains};
}

Kernel bf16_kernel() {
#if defined(__x86_64__)
  if (amx_granted()) return {bf16_amx, 4.0 * 2 * 16 * 16 * 32, 2e11};
  if (__builtin_cpu_supports("avx512bf16")) return {bf16_avx512, 2.0 * 32 * kChains};
#endif
  return f32_kernel();
}

// A buffer larger than any cache.
class Buffer {
 public:
  static constexpr int64_t kBytes = int64_t{3} << 29;

  Buffer() : words_(static_cast<uint64_t*>(std::aligned_alloc(2 << 20, static_cast<size_t>(kBytes))), std::free) {
    if (!words_) std::exit(1);
    madvise(words_.get(), kBytes, MADV_HUGEPAGE);  // page walks are not what is measured
    std::memset(words_.get(), 1, static_cast<size_t>(kBytes));
  }

  // Sums what belongs to `thread` of `threads`.
  void read(int thread, int threads) const {
    constexpr int64_t kWords = kBytes / 8;
    const uint64_t* from = words_.get() + kWords * thread / threads / 16 * 16;
    uint64_t sums[16] = {};  // independent, so that the compiler keeps them in vectors
    for (int64_t i = 0; i + 16 <= kWords / threads; i += 16) {
      for (int lane = 0; lane < 16; ++lane) sums[lane] ^= from[i + lane];
    }
    sink = static_cast<float>(std::accumulate(sums, sums + 16, uint64_t{0}));
  }

 private:
  std::unique_ptr<uint64_t, void (*)(void*)> words_;
};

void read_on_request(int threads) {
  const Buffer buffer;
  while (std::getchar() != EOF) {
    const double seconds = seconds_of(threads, [&](int thread) { buffer.read(thread, threads); });
    std::printf("%.3f\n", Buffer::kBytes / seconds / 1e9);
    std::fflush(stdout);
  }
}

double read_gigabytes(int threads) {
  const Buffer buffer;
  return Buffer::kBytes / best_seconds(threads, [&](int thread) { buffer.read(thread, threads); }) / 1e9;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2;
  if (argc > 2 && std::strcmp(argv[2], "read") == 0) {
    read_on_request(threads);
    return 0;
  }
  const double f32 = gigaflops(threads, f32_kernel());
  const double bf16 = gigaflops(threads, bf16_kernel());
  std::printf("{\"f32Gigaflops\": %.1f, \"bf16Gigaflops\": %.1f, \"readGigabytes\": %.2f}\n", f32, bf16,
              read_gigabytes(threads));
  return 0;
}
