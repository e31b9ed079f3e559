#pragma once

#include "layers/gradient_audit.h"

namespace deq {

struct DifferenceOptions {
  int directions = 2;
  std::uint64_t seed = 0;
  /// Wanted change of the loss, as a share of it: far above the rounding of f32, small enough for the expansion of a
  /// network with rectifiers (on a random one 5e-4 leaves 0.6 %, 2e-3 leaves 2.6 %).
  double change = 5e-4;
  /// Called before every evaluation; returns false to stop early.
  std::function<bool()> progress = {};
};

/// The gradient against central differences of the loss itself, solved again at every point.
struct DifferenceCheck {
  int directions = 0;              ///< that were finished
  double relative_difference = 0;  ///< |difference - g . v| / |g . v|, largest over the directions v
  double uncertainty = 0;          ///< of the differences, as above: how much halving the step changed them
  double forward_residual = 0;     ///< largest over the samples, at the parameters as they are
};

/// Directions are unit vectors half along the gradient, half random, so that a gradient of wrong length or angle shows
/// and rounding does not. Differences at two steps are extrapolated (L. F. Richardson, 1911). Give a policy that solves
/// as tightly as floats allow. Parameters and running statistics are what they were when it returns.
/// Errors: as audit.
DifferenceCheck check_by_differences(const AuditedModel& model, const AuditPolicy& exact, const AuditInputs& batch,
                                     Backend& backend, const DifferenceOptions& options = {});

}  // namespace deq
