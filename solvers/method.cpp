#include "solvers/method.h"

#include "solvers/anderson.h"
#include "solvers/broyden_product.h"
#include "solvers/loop.h"
#include "solvers/low_rank_sum.h"
#include "solvers/picard.h"

namespace deq {
namespace {

struct Maker {
  const StateSpec& spec;
  StateOps& ops;
  int max_steps;

  std::unique_ptr<Method> operator()(const Picard& options) const {
    return std::make_unique<PicardMethod>(spec, ops, options);
  }
  std::unique_ptr<Method> operator()(const Anderson& options) const {
    return std::make_unique<AndersonMethod>(spec, ops, options);
  }
  std::unique_ptr<Method> operator()(const Broyden& options) const {
    switch (options.form) {
      case BroydenForm::product: return std::make_unique<BroydenProductMethod>(spec, ops, options, max_steps);
      case BroydenForm::low_rank: return std::make_unique<BroydenLowRankMethod>(spec, ops, options, max_steps);
    }
    return nullptr;
  }
};

struct Namer {
  std::string_view operator()(const Picard&) const { return "picard"; }
  std::string_view operator()(const Anderson&) const { return "anderson"; }
  std::string_view operator()(const Broyden& broyden) const {
    return broyden.form == BroydenForm::product ? "broyden" : "broyden-lowrank";
  }
};

}  // namespace

std::unique_ptr<Method> make_method(const StateSpec& spec, StateOps& ops, const SolverOptions& options) {
  return std::visit(Maker{spec, ops, options.max_steps}, options.method);
}

std::string_view name_of(const SolverMethod& method) { return std::visit(Namer{}, method); }

}  // namespace deq
