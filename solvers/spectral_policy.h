#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/fixed_point.h"
#include "solvers/options.h"

namespace deq {

/// Spectral radius of J = df/dz at z*, per sample; see SpectralRadius for NaN and `change`.
struct SpectralReport {
  std::vector<double> radius;  ///< [batch]
  std::vector<double> change;  ///< [batch]
  int map_calls = 0;           ///< products with J^T
};

/// Measures the stability of an equilibrium instead of differentiating it: in place of the adjoint solve, Arnoldi's
/// method runs on v -> J^T v from the cotangent w, and u = w. Memory and lifetimes are those of a gradient.
class SpectralPolicy final : public EquilibriumPolicy {
 public:
  /// @param steps  products with J^T, >= 1
  SpectralPolicy(SolverOptions solver, int steps);

  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] bool needs_vjp() const override { return true; }
  [[nodiscard]] ForwardNeeds forward_needs() const override;
  [[nodiscard]] std::string describe() const override;

  /// Of the last run of a program with this policy.
  [[nodiscard]] const SpectralReport& report() const { return *report_; }

 private:
  SolverOptions solver_;
  int steps_;
  std::shared_ptr<SpectralReport> report_;
};

}  // namespace deq
