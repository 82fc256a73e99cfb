#include "cpu/attention/attend.h"

namespace mglmm::cpu {

bool attend_amx(const AttentionProblem&, Stream&) { return false; }

}  // namespace mglmm::cpu
