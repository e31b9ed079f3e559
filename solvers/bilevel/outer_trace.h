#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <vector>

#include "core/fixed_point.h"
#include "solvers/bilevel/conjugate_gradient.h"
#include "solvers/bilevel/evaluation_count.h"

namespace deq {

/// State after one outer iteration. Point 0 is the start, before anything was solved.
struct OuterPoint {
  int outer = 0;
  double seconds = 0;               ///< since the start, without the time spent on reporting (test loss, observers)
  std::vector<double> lambda = {};  ///< [p] for which w was fitted
  double validation_loss = 0;       ///< F at w
  double test_loss = std::numeric_limits<double>::quiet_NaN();
  EvaluationCount count{};  ///< since the start
  double inner_residual = 0;
  double inner_tolerance = 0;  ///< what the residual had to fall below
  SolveStatus inner_status = SolveStatus::converged;
  int inner_iterations = 0;
  AdjointStatus adjoint_status = AdjointStatus::direct;
  int adjoint_steps = 0;
  double gradient_norm = 0;  ///< of the estimated hypergradient
};

enum class OuterStatus : std::uint8_t {
  finished,    ///< every outer iteration was done
  stationary,  ///< the hypergradient is zero; the trace ends there
  stopped,     ///< the caller asked for the end
  nonfinite,   ///< inf or nan appeared; the last point of the trace shows where
};
std::string_view name_of(OuterStatus status);

struct OuterResult {
  OuterStatus status = OuterStatus::finished;
  std::vector<OuterPoint> trace;
  std::vector<double> w;       ///< [d] of the last point
  std::vector<double> lambda;  ///< [p] of the last point
};

/// What a run tells and asks while it goes on. Time spent here is not counted.
struct OuterObserver {
  std::function<void(const OuterPoint&)> observe = {};  ///< after each point
  std::function<bool()> is_stopped = {};                ///< asked before each outer iteration
};

}  // namespace deq
