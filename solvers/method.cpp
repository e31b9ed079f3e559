#include "solvers/method.h"

#include "core/error.h"
#include "solvers/adjoint_broyden.h"
#include "solvers/anderson.h"
#include "solvers/broyden_low_rank.h"
#include "solvers/broyden_product.h"
#include "solvers/broyden_reduced.h"
#include "solvers/kept_updates.h"
#include "solvers/loop.h"
#include "solvers/newton_krylov.h"
#include "solvers/picard.h"
#include "solvers/stop_rule.h"

namespace deq {
namespace {

struct Maker {
  const StateSpec& spec;
  StateOps& ops;
  int max_steps;
  EstimateUse use;

  std::unique_ptr<Method> operator()(const Picard& options) const {
    return std::make_unique<PicardMethod>(spec, ops, options);
  }
  std::unique_ptr<Method> operator()(const Anderson& options) const {
    return std::make_unique<AndersonMethod>(spec, ops, options);
  }
  std::unique_ptr<Method> operator()(const Broyden& options) const {
    const bool is_limited = kept_updates("broyden", options.memory, max_steps) < max_steps;
    const bool keeps_pairs =
        options.form == BroydenForm::low_rank || (is_limited && options.limit == MemoryLimit::reduce);
    require(!keeps_pairs || options.history == StepHistory::full, "solver",
            "a bf16 history holds the steps of Broyden's product form, not pairs; keep all steps (memory 0) or the "
            "full history");
    if (is_limited && options.limit == MemoryLimit::reduce)
      return std::make_unique<BroydenReducedMethod>(spec, ops, options, use);
    switch (options.form) {
      case BroydenForm::product: return std::make_unique<BroydenProductMethod>(spec, ops, options, max_steps);
      case BroydenForm::low_rank: return std::make_unique<BroydenLowRankMethod>(spec, ops, options, max_steps);
    }
    return nullptr;
  }
  std::unique_ptr<Method> operator()(const AdjointBroyden& options) const {
    return std::make_unique<AdjointBroydenMethod>(spec, ops, options, max_steps, use);
  }
  std::unique_ptr<Method> operator()(const NewtonKrylov& options) const {
    return std::make_unique<NewtonKrylovMethod>(spec, ops, options);
  }
};

struct Namer {
  std::string_view operator()(const Picard&) const { return "picard"; }
  std::string_view operator()(const Anderson&) const { return "anderson"; }
  std::string_view operator()(const Broyden& broyden) const {
    return broyden.form == BroydenForm::product ? "broyden" : "broyden-lowrank";
  }
  std::string_view operator()(const AdjointBroyden& broyden) const {
    return broyden.outer_every > 0 ? "adjoint-broyden-opa" : "adjoint-broyden";
  }
  std::string_view operator()(const NewtonKrylov&) const { return "newton-krylov"; }
};

struct Needs {
  ForwardNeeds operator()(const Picard&) const { return {}; }
  ForwardNeeds operator()(const Anderson&) const { return {}; }
  ForwardNeeds operator()(const Broyden&) const { return {}; }
  ForwardNeeds operator()(const AdjointBroyden& broyden) const {
    return {.pullback = true, .outer_gradient = broyden.outer_every > 0};
  }
  ForwardNeeds operator()(const NewtonKrylov&) const { return {.pushforward = true}; }
};

}  // namespace

std::unique_ptr<Method> make_method(const StateSpec& spec, StateOps& ops, const SolverOptions& options,
                                    EstimateUse use) {
  check_limits(options);
  return std::visit(Maker{spec, ops, options.max_steps, use}, options.method);
}

ForwardNeeds forward_needs(const SolverMethod& method) { return std::visit(Needs{}, method); }

std::string_view name_of(const SolverMethod& method) { return std::visit(Namer{}, method); }

}  // namespace deq
