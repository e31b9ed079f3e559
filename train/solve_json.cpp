#include "train/solve_json.h"

#include <cmath>

#include "core/error.h"

namespace deq {

nlohmann::ordered_json forward_json(const SolveMetrics& solve) {
  nlohmann::ordered_json status = nlohmann::ordered_json::object();
  for (int i = 0; i < kSolveStatusCount; ++i)
    if (const std::int64_t samples = solve.status[static_cast<std::size_t>(i)]; samples > 0)
      status[std::string(name_of(static_cast<SolveStatus>(i)))] = samples;
  nlohmann::ordered_json out = {{"steps_mean", solve.steps}, {"residual_mean", nullptr}, {"status", status}};
  out["evaluations_saved"] = solve.evaluations_saved();
  if (solve.out_of_time > 0) out["out_of_time"] = solve.out_of_time;
  if (std::isfinite(solve.residual)) out["residual_mean"] = solve.residual;
  return out;
}

std::string spared(const SolveMetrics& solve) {
  const double percent = std::round(solve.evaluations_saved() * 1000) / 10;
  return concat(percent, " % of f evaluations saved",
                solve.out_of_time > 0 ? concat(", ", solve.out_of_time, " solves out of time") : std::string());
}

}  // namespace deq
