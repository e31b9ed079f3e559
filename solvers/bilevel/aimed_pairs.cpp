#include "solvers/bilevel/aimed_pairs.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {

AimReport aim_pairs(BilevelProblem& problem, ConstVector w, ConstVector lambda, ConstVector slope, ConstVector v,
                    const PairAim& aim, QuasiNewtonMemory& memory, Vector q) {
  check(aim.pairs >= 0 && aim.scale > 0.0, "aim_pairs", "pairs is ", aim.pairs, " and scale ", aim.scale,
        "; expected pairs >= 0 and scale > 0");
  AimReport report;
  memory.apply(v, q);
  std::vector<double> direction(q.begin(), q.end()), remainder(v.begin(), v.end()), moved(q.size()), image(q.size());
  const double reach = aim.scale * std::max(1.0, norm(w)), target = norm(v);
  for (; report.taken < aim.pairs; ++report.taken) {
    if (report.taken > 0) memory.apply(remainder, direction);
    const double length = norm(direction);
    if (!(length > 0.0)) break;  // nothing of v is left
    const double xi = reach / length;
    combine(w, xi, direction, moved);
    problem.inner(moved, lambda, image);
    add_scaled(-1.0, slope, image);
    scale(1.0 / xi, image);
    report.is_refused = !memory.push(direction, image);
    if (report.is_refused) break;
    const double step = dot(direction, remainder) / dot(direction, image);
    if (report.taken == 0) std::ranges::fill(q, 0.0);
    add_scaled(step, direction, q);
    add_scaled(-step, image, remainder);
    report.residual = norm(remainder) / target;
  }
  return report;
}

}  // namespace deq
