#pragma once

#include <string>

#include "tests/solvers/toy_maps.h"

namespace deq::test {

/// The toy of SHINE's maths: f = tanh(W z + b) with W ~ N(0, scale^2 / n), n = 30, solved by Broyden from zero, and a
/// random cotangent w whose adjoint is known exactly.
struct ToyAdjoint {
  static constexpr int kSize = 30;
  static constexpr int kForwardSteps = 18;
  static constexpr SolverOptions kFixedSteps{.max_steps = kForwardSteps, .tolerance = {.value = 0.0}};

  ToyAdjoint(double scale, unsigned seed, const SolverOptions& options = kFixedSteps);
  ToyAdjoint(const ToyAdjoint&) = delete;
  ToyAdjoint& operator=(const ToyAdjoint&) = delete;

  /// The map v -> J^T v at the returned iterate.
  [[nodiscard]] SampleMap vjp() const;
  /// u by `options`; fills `report` and `method`.
  [[nodiscard]] Vector adjoint(const AdjointOptions& options);
  /// `steps` of Broyden on u = w + J^T u from `start` with `base` as first inverse, put together by hand.
  [[nodiscard]] Vector refined_by_hand(const Vector& start, const InverseEstimate& base, int steps);

  [[nodiscard]] double error_of(const Vector& u) const { return distance(u, exact) / norm(exact); }
  [[nodiscard]] double error(const AdjointOptions& options) { return error_of(adjoint(options)); }
  [[nodiscard]] double cosine(const Vector& u) const { return dot(u, exact) / (norm(u) * norm(exact)); }

  StateSpec spec;
  TanhModel model;
  ModelMap map;
  BoundLoop forward;
  State z;
  State w;  ///< also the outer gradient that the forward solve may ask for
  Vector exact;
  SolveReport report;
  std::string method;  ///< copied, because the report's view ends with the solver
};

/// Instances that a figure is taken over. The literature's are those of one instance, of unknown seed: W, b and w here
/// are standard normal draws of seeds 0, 1, .. Between the 10 % and the 90 % quantile of what ten steps of refinement
/// leave lies a factor of 50, so that the medians of different 300 instances still differ by a third; of 1,001 the
/// median is known to 6 %.
inline constexpr unsigned kToys = 1001;
/// Of solves to convergence, whose errors spread less.
inline constexpr unsigned kTightToys = 201;

/// The median of measure(toy) over kToys instances, solved by the fixed steps of ToyAdjoint.
double median_over_toys(double scale, const std::function<double(ToyAdjoint&)>& measure);
/// measure(toy) of kTightToys instances under `options`, sorted.
Vector over_toys(double scale, const std::function<double(ToyAdjoint&)>& measure, const SolverOptions& options);
/// The value that a share of `sorted` does not exceed.
double quantile(const Vector& sorted, double share);

}  // namespace deq::test
