#include "solvers/kept_updates.h"

#include <algorithm>

#include "core/error.h"

namespace deq {

int kept_updates(std::string_view method, int memory, std::int64_t most) {
  require(memory >= 0, method, "memory is ", memory,
          " but must not be negative; 0 keeps every update, a positive number so many of them");
  const std::int64_t kept = memory > 0 ? std::min<std::int64_t>(memory, most) : most;
  require(kept <= kMostKept, method, "memory ", memory, " would keep ", kept, " updates of the ", most,
          " that max_steps allows, but at most ", kMostKept, " can be kept; lower max_steps or set memory, e.g. to 20");
  return static_cast<int>(kept);
}

}  // namespace deq
