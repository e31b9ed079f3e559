#pragma once

#include <vector>

#include "solvers/linear_solver.h"

namespace deq {

/// Measures r = w + J^T u - u of linear systems, per sample, in the norm of a tolerance.
class LinearResidual {
 public:
  LinearResidual(const StateSpec& spec, StateOps& ops, NormMode mode);

  /// One product with J^T. `r` (may be null) receives the residual of `samples`.
  void measure(const LinearSystem& system, StateView u, StateView r, SampleMask samples);
  /// The same for u = 0 without a product: r = w.
  void measure_zero(const LinearSystem& system, StateView r);
  /// y = z - J^T z into the output of the system's map; z is what its input holds.
  void apply(const LinearSystem& system) const;

  [[nodiscard]] double norm(std::size_t sample) const { return norm_[sample]; }
  /// Infinite when not finite.
  [[nodiscard]] double objective(std::size_t sample) const { return objective_[sample]; }
  [[nodiscard]] std::span<const double> ones() const { return ones_; }

 private:
  StateSpec spec_;
  StateOps* ops_;
  NormMode mode_;
  std::vector<double> ones_;
  std::vector<double> norm_;
  std::vector<double> objective_;
  std::vector<double> best_;            // asked for by the operation, not used
  std::vector<std::uint8_t> improved_;  // likewise
};

}  // namespace deq
