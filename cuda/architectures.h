// Which devices run what was compiled for CMake's CUDA architectures.
#pragma once
#include <cstddef>
#include <string_view>

namespace mglmm::cuda {

// `list`: `80-real`, whose code devices run that are of compute capability 8.0 or later of its 8; `120-virtual`, from which
// a driver makes code for all that came later; `120`, both; `90a-real`, for 9.0 alone. With commas between them.
constexpr bool runs_on(std::string_view list, int major, int minor) {
  const int own = 10 * major + minor;
  while (!list.empty()) {
    const size_t end = list.find(',');
    std::string_view one = list.substr(0, end);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    int compiled = 0;
    for (; !one.empty() && one[0] >= '0' && one[0] <= '9'; one.remove_prefix(1)) compiled = 10 * compiled + (one[0] - '0');
    if (own == compiled) return true;
    if (own < compiled || (!one.empty() && one[0] != '-')) continue;
    if (one != "-real" || major == compiled / 10) return true;
  }
  return false;
}

static_assert(runs_on("80-real,90a-real", 8, 0) && runs_on("80-real,90a-real", 8, 9) && runs_on("80-real,90a-real", 9, 0));
static_assert(!runs_on("80-real,90a-real", 7, 5) && !runs_on("86-real", 8, 0) && !runs_on("90a-real,100-real", 12, 0));
static_assert(runs_on("90a-real,120", 12, 1) && runs_on("75-virtual", 9, 0) && !runs_on("120", 9, 0) && !runs_on("", 8, 0));

}  // namespace mglmm::cuda
