#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// Which x the estimate is asked about: the direction of the extra updates, H times the last step of the solver, or one
/// that the solver knows nothing of.
enum class ProbedDirection : std::uint8_t { prescribed, krylov, random };
std::string_view name_of(ProbedDirection direction);

/// a = B^-1 x against b = H^-1 x.
struct InverseQuality {
  ProbedDirection direction = ProbedDirection::prescribed;
  int run = 0;
  double ratio = 0.0;   ///< |a| / |b|
  double cosine = 0.0;  ///< of the angle between a and b
  double error = 0.0;   ///< |a - b| / |b|
};

struct InverseQualityOptions {
  int runs = 100;
  int memory = 60;
  LbfgsOptions solver{.tolerance = 1e-6};
  int period = 5;  ///< of the outer-aware pairs along the prescribed direction; 0: none
  std::uint64_t seed = 42;
  std::function<void()> before_run{};  ///< may throw to end the experiment
};

struct InverseQualityResult {
  std::vector<InverseQuality> points;  ///< three a run, in the order of ProbedDirection
  int unconverged = 0;                 ///< runs whose inner solve or reference solve missed its tolerance
};

/// How well L-BFGS inverts the Hessian of r: each run starts from w ~ N(0, I) with a prescribed x ~ N(0, I), solves the
/// inner problem and compares. H^-1 is applied by conjugate gradients to 1e-12.
///
/// Source: Z. Ramzi et al., SHINE, ICLR 2022, figure 2 right (breast cancer).
InverseQualityResult measure_inverse_quality(BilevelProblem& problem, ConstVector lambda,
                                             const InverseQualityOptions& options);

}  // namespace deq
