#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/method_preset.h"

namespace deq {

/// Makes one more copy of the problem, for a thread of its own.
using ProblemFactory = std::function<std::unique_ptr<BilevelProblem>()>;

/// What one outer iteration asks of the lower level.
struct LowerRequest {
  ConstVector lambda;        ///< [p]
  int outer = 1;             ///< number of the outer iteration, from 1
  int points = 30;           ///< of the whole run, the start included
  double tolerance = 1e-3;   ///< eps of the hypergradient, relative
  double inner_tolerance{};  ///< |grad_w r| that ends the inner solve
};

struct LowerReport {
  SolveStatus status = SolveStatus::converged;
  int iterations = 0;
  double residual = 0;
  AdjointStatus adjoint_status = AdjointStatus::direct;
  int adjoint_steps = 0;
  double value = 0;  ///< F at w
  EvaluationCount count{};
};

struct LowerOptions {
  MethodPreset method;   ///< ImplicitMethod or EsjOptions
  LbfgsOptions inner{};  ///< its tolerance and awareness are set by each request
  InitialInverse initial = InitialInverse::identity;
  PairPrecision precision = PairPrecision::double_precision;
  bool carries_memory = true;        ///< the pairs of an inner solve start the next one
  std::uint64_t seed = 0;            ///< of the directions and columns that a method draws
  ProblemFactory make_problem = {};  ///< for EsjOptions
};

/// The lower level of a bi-level method: solves the inner problem from where it stands and estimates dF/dlambda.
class LowerLevel {
 public:
  virtual ~LowerLevel() = default;
  /// @param w         [d] start on entry, solution on return
  /// @param gradient  [p] receives the estimate
  virtual LowerReport solve(const LowerRequest& request, Vector w, Vector gradient) = 0;
};

/// @param problem  outlives the result
/// @param w        [d] the first start; conjugate gradients start there too, as in HOAG
/// @throws Error for a search, or EsjOptions without `make_problem`
std::unique_ptr<LowerLevel> make_lower_level(BilevelProblem& problem, const LowerOptions& options, ConstVector w);

}  // namespace deq
