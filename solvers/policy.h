#pragma once

#include <memory>
#include <string>

#include "core/fixed_point.h"
#include "solvers/options.h"

namespace deq {

/// Solve z = f(z) with one of the solvers, differentiate by the implicit function theorem with one of the adjoints.
class ImplicitPolicy final : public EquilibriumPolicy {
 public:
  explicit ImplicitPolicy(SolverOptions solver = {}, AdjointOptions adjoint = SharedInverse{})
      : solver_(solver), adjoint_(adjoint) {}

  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] bool needs_vjp() const override;
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] const SolverOptions& solver() const { return solver_; }
  [[nodiscard]] const AdjointOptions& adjoint() const { return adjoint_; }

 private:
  SolverOptions solver_;
  AdjointOptions adjoint_;
};

}  // namespace deq
