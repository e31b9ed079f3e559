#include "layers/solve_gmres.h"

#include <memory>
#include <vector>

#include "core/builder.h"
#include "layers/equilibrium.h"
#include "solvers/policy.h"

namespace deq {

Value solve_gmres(const std::function<Value(Value)>& apply, Value b, const GmresOptions& options) {
  (void)b.owner("solve_gmres", options.name);
  check(options.restart >= 1 && options.max_cycles >= 1, "solve_gmres", "restart ", options.restart, " and max_cycles ",
        options.max_cycles, "; both must be 1 or more");
  // One Newton step is a cycle of GMRES, solved as far as a cycle goes.
  const SolverOptions forward{
      .method = NewtonKrylov{.inner_steps = options.restart, .forcing = 0.1 * options.tolerance},
      .max_steps = options.max_cycles,
      .tolerance = {.value = options.tolerance},
      .patience = 0};
  const KrylovAdjoint backward{.restart = options.restart,
                               .max_steps = options.restart * options.max_cycles,
                               .tolerance = {.value = options.tolerance}};
  const StateFunction f = [&](std::span<const Value> x) { return std::vector<Value>{x[0] + (b - apply(x[0]))}; };
  const EquilibriumOptions how{.policy = std::make_shared<ImplicitPolicy>(forward, backward),
                               .output = EquilibriumOutput::iterate,
                               .name = options.name};
  return equilibrium(f, {zeros_like(b)}, how).front();
}

}  // namespace deq
