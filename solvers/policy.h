#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/fixed_point.h"
#include "solvers/options.h"

namespace deq {

/// Whether samples whose forward solve has stopped leave the batch (core/rebatch.h).
enum class Compaction : std::uint8_t { off, on };

/// Solve z = f(z) with one of the solvers, differentiate by the implicit function theorem with one of the adjoints.
class ImplicitPolicy final : public EquilibriumPolicy {
 public:
  explicit ImplicitPolicy(SolverOptions solver = {}, AdjointOptions adjoint = SharedInverse{},
                          Compaction compaction = Compaction::off)
      : solver_(solver), adjoint_(adjoint), compaction_(compaction) {}

  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] bool needs_vjp() const override;
  /// Never with a fixed number of steps (tolerance 0), where all samples run to the end.
  [[nodiscard]] bool compacts() const override;
  [[nodiscard]] std::optional<Unrolling> unrolling() const override;
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] const SolverOptions& solver() const { return solver_; }
  [[nodiscard]] const AdjointOptions& adjoint() const { return adjoint_; }

 private:
  SolverOptions solver_;
  AdjointOptions adjoint_;
  Compaction compaction_;
};

/// The estimator of B. Nguyen, L. Mauch, Efficient Training of Deep Equilibrium Models, arXiv 2304.11663, 2023: Broyden
/// forward, whose inverse is the backward. No outer-problem awareness, no guard, no refinement. `solver` gives limits
/// and tolerance; another method than Broyden is replaced by it.
ImplicitPolicy gdeq_policy(SolverOptions solver = {});

}  // namespace deq
