#include "solvers/policy.h"

#include "core/error.h"
#include "solvers/adjoint.h"
#include "solvers/loop.h"
#include "solvers/names.h"

namespace deq {

std::unique_ptr<FixedPointSolver> ImplicitPolicy::make_solver(const StateSpec& spec, StateOps& ops) const {
  const EstimateUse use = needs_estimate(adjoint_) ? EstimateUse::kept : EstimateUse::dropped;
  return std::make_unique<Loop>(spec, ops, solver_, use);
}

std::unique_ptr<AdjointSolver> ImplicitPolicy::make_adjoint(const StateSpec& spec, StateOps& ops) const {
  return std::make_unique<Adjoint>(spec, ops, adjoint_);
}

bool ImplicitPolicy::needs_vjp() const { return deq::needs_vjp(adjoint_); }

bool ImplicitPolicy::compacts() const { return compaction_ == Compaction::on && solver_.tolerance.value > 0.0; }

std::string ImplicitPolicy::describe() const {
  return concat(deq::describe(solver_), compacts() ? ", compacting" : "", ", ", name_of(adjoint_));
}

std::optional<Unrolling> ImplicitPolicy::unrolling() const {
  const auto* const phantom = std::get_if<Phantom>(&adjoint_);
  if (phantom == nullptr) return std::nullopt;
  return Unrolling{.steps = phantom->steps, .damping = phantom->damping};
}

ImplicitPolicy gdeq_policy(SolverOptions solver) {
  if (!std::holds_alternative<Broyden>(solver.method)) solver.method = Broyden{};
  return ImplicitPolicy(solver, SharedInverse{.max_gain = 0.0});
}

}  // namespace deq
