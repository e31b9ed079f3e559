#include "train/solve_json.h"

#include <cmath>

namespace deq {

nlohmann::ordered_json forward_json(const SolveMetrics& solve) {
  nlohmann::ordered_json status = nlohmann::ordered_json::object();
  for (int i = 0; i < kSolveStatusCount; ++i)
    if (const std::int64_t samples = solve.status[static_cast<std::size_t>(i)]; samples > 0)
      status[std::string(name_of(static_cast<SolveStatus>(i)))] = samples;
  nlohmann::ordered_json out = {{"steps_mean", solve.steps}, {"residual_mean", nullptr}, {"status", status}};
  if (std::isfinite(solve.residual)) out["residual_mean"] = solve.residual;
  return out;
}

}  // namespace deq
