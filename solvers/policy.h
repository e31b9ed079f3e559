#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/fixed_point.h"
#include "solvers/loop.h"
#include "solvers/options.h"

namespace deq {

/// Whether samples whose forward solve has stopped leave the batch (core/rebatch.h).
enum class Compaction : std::uint8_t { off, on };

/// Solve z = f(z) with one of the solvers, differentiate by the implicit function theorem with one of the adjoints.
class ImplicitPolicy final : public EquilibriumPolicy {
 public:
  /// Errors (RequestError): as check_adjoint (solvers/adjoint.h).
  explicit ImplicitPolicy(SolverOptions solver = {}, AdjointOptions adjoint = SharedInverse{},
                          Compaction compaction = Compaction::off);

  /// Methods that samples go on with when the one before broke down, in order; the limits are those of the solver.
  ImplicitPolicy& fall_back_on(std::vector<SolverMethod> chain);
  /// A forward method of your own instead of the one in the options, under the same limits.
  ImplicitPolicy& use_method(std::string name, MethodFactory factory, ForwardNeeds needs = {});

  /// Every solve begins at the solution of the one before in the same program (solvers/warm_start.h).
  ImplicitPolicy& start_warm();

  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps& ops) const override;
  [[nodiscard]] bool needs_vjp() const override;
  /// Never with a fixed number of steps (tolerance 0), where all samples run to the end, nor with regions beside f.
  [[nodiscard]] bool compacts() const override;
  [[nodiscard]] std::optional<Unrolling> unrolling() const override;
  [[nodiscard]] ForwardNeeds forward_needs() const override;
  [[nodiscard]] std::string describe() const override;

  [[nodiscard]] const SolverOptions& solver() const { return solver_; }
  [[nodiscard]] const AdjointOptions& adjoint() const { return adjoint_; }

 private:
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_cold_solver(const StateSpec& spec, StateOps& ops) const;
  /// The solver and those it falls back on.
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_chain(const StateSpec& spec, StateOps& ops) const;
  [[nodiscard]] bool needs_only_f() const;

  std::vector<SolverMethod> chain_;
  std::string own_name_;
  MethodFactory own_method_;
  ForwardNeeds own_needs_;
  SolverOptions solver_;
  AdjointOptions adjoint_;
  Compaction compaction_;
  bool starts_warm_ = false;
};

/// The policy of an estimator's name (adjoint_from_name), with the forward solver that it needs: adjoint Broyden for
/// adjoint-broyden and adjoint-broyden-opa, Broyden for gdeq (B. Nguyen, L. Mauch, Efficient Training of Deep
/// Equilibrium Models, arXiv 2304.11663, 2023: Broyden forward, whose inverse is the backward, and nothing beside),
/// `solver.method` for the others. Broyden{}, whatever its memory, stands for no choice and is replaced.
/// Errors (RequestError): as adjoint_from_name; `solver.method` is a choice that the estimator cannot run on.
std::shared_ptr<ImplicitPolicy> policy_from_name(const std::string& estimator, SolverOptions solver = {});

}  // namespace deq
