#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/tune_run.h"

namespace deq {

/// How well one method estimates dF/dlambda along a path of lambda. Errors are medians over the points of the path
/// where the estimate and g* are finite and g* is not zero; not a number when there are none.
struct HypergradientAudit {
  std::string method;
  double relative_error = 0;  ///< |g - g*| / |g*| with g* the hypergradient of the solved inner problem
  double cosine = 0;          ///< of the angle between g and g*
  double norm_ratio = 0;      ///< |g| / |g*|
  /// |g - g_w| / |g_w| with g_w the implicit gradient at the method's own w: what the estimate alone adds.
  double estimate_error = 0;
  std::int64_t inner_gradients = 0;  ///< along the whole path; likewise below
  std::int64_t hessian_products = 0;
  double seconds = 0;
  std::vector<double> errors;  ///< relative_error, one for each of these points
};

struct TuneAudit {
  std::vector<std::vector<double>> path;  ///< lambda, one a point
  double exact_inner_residual = 0;        ///< largest |grad_w r| left, relative to the first
  double exact_adjoint_residual = 0;      ///< largest relative residual of the adjoint system left
  std::vector<HypergradientAudit> methods;
};

/// Compares methods on one seed: the path is the one that HOAG takes, every method follows it with the tolerances,
/// memory and warm starts of its own run, and g* comes from conjugate gradients to 1e-12 at an inner solution to 1e-9.
/// Searches have no hypergradient: RequestError. @param progress  after each point; false ends the audit early
TuneAudit audit_hypergradients(const TuneConfig& config, const TuneTask& task, const std::vector<std::string>& methods,
                               std::int64_t seed, const std::function<bool(std::int64_t, std::int64_t)>& progress);

}  // namespace deq
