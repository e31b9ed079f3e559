#include "solvers/bilevel/esj.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr std::uint32_t kDirectionSite = 0x45534A;

/// Directions u [p] for which `weight` times the sum of u u^T is I in expectation.
struct Directions {
  std::vector<std::vector<double>> u;
  double weight = 1.0;  ///< of each term of the sum
};

/// False when what is left of `v` after taking out `others` is rounding.
bool make_orthonormal(Vector v, const std::vector<std::vector<double>>& others) {
  const double before = norm(v);
  for (int pass = 0; pass < 2; ++pass)
    for (const auto& other : others) add_scaled(-dot(other, v), other, v);
  const double after = norm(v);
  if (!(after > 1e-8 * before)) return false;
  scale(1.0 / after, v);
  return true;
}

Directions draw_directions(std::int64_t size, const EsjOptions& options) {
  const bool is_orthogonal = options.kind == ProbeDirections::orthogonal;
  const std::int64_t count = is_orthogonal ? std::min<std::int64_t>(options.directions, size) : options.directions;
  const RandomStream stream{.seed = options.seed, .counter = options.draw, .site = kDirectionSite};
  Directions directions;
  std::int64_t drawn = 0;
  while (static_cast<std::int64_t>(directions.u.size()) < count) {
    std::vector<double> u(size);
    for (double& value : u) value = normal(stream, drawn++);
    if (!is_orthogonal || make_orthonormal(u, directions.u)) directions.u.push_back(std::move(u));
  }
  directions.weight =
      is_orthogonal ? static_cast<double>(size) / static_cast<double>(count) : 1.0 / static_cast<double>(count);
  return directions;
}

/// Runs body(worker, index) for each index below `count`, index modulo `workers` on each thread. What a body throws is
/// thrown here after all have ended.
template <class Body>
void on_threads(int workers, int count, Body body) {
  if (workers == 1) {
    for (int index = 0; index < count; ++index) body(0, index);
    return;
  }
  std::vector<std::exception_ptr> thrown(workers);
#pragma omp parallel for num_threads(workers) schedule(static, 1)
  for (int worker = 0; worker < workers; ++worker) {
    try {
      for (int index = worker; index < count; index += workers) body(worker, index);
    } catch (...) {
      thrown[worker] = std::current_exception();
    }
  }
  for (const std::exception_ptr& each : thrown)
    if (each) std::rethrow_exception(each);
}

}  // namespace

EsjReport estimate_esj(BilevelProblem& problem, const InnerRunFactory& make_run, ConstVector lambda, Vector w,
                       const EsjOptions& options, Vector gradient) {
  constexpr std::string_view kWhere = "estimate_esj";
  check(options.directions >= 1 && options.radius > 0.0 && options.threads >= 0, kWhere, "directions is ",
        options.directions, ", radius ", options.radius, " and threads ", options.threads,
        "; directions and radius must be positive, threads not negative");
  check(w.size() == static_cast<std::size_t>(problem.inner_size()) && gradient.size() == lambda.size() &&
            lambda.size() == static_cast<std::size_t>(problem.outer_size()),
        kWhere, "w, lambda and the gradient have ", w.size(), ", ", lambda.size(), " and ", gradient.size(),
        " entries; the problem has ", problem.inner_size(), " and ", problem.outer_size());

  const Directions directions = draw_directions(problem.outer_size(), options);
  const int runs = static_cast<int>(directions.u.size()) + 1;  // run 0 is the one at lambda
  const int workers = std::clamp(options.threads == 0 ? omp_get_max_threads() : options.threads, 1, runs);
  std::vector<InnerRun> run_of(workers);
  for (InnerRun& run : run_of) run = make_run();

  std::vector<std::vector<double>> ends(runs, std::vector<double>(w.begin(), w.end()));
  on_threads(workers, runs, [&](int worker, int index) {
    std::vector<double> moved(lambda.begin(), lambda.end());
    if (index > 0) add_scaled(options.radius, directions.u[index - 1], moved);
    run_of[worker](moved, ends[index]);
  });

  EsjReport report{.outer_value = 0.0, .runs = runs, .nonfinite = 0};
  std::vector<double> slope(w.size());
  report.outer_value = problem.outer(ends[0], lambda, slope, gradient);
  for (int index = 1; index < runs; ++index) {
    add_scaled(-1.0, ends[0], ends[index]);
    const double response = dot(slope, ends[index]) / options.radius;
    if (!std::isfinite(response)) {
      ++report.nonfinite;
      continue;
    }
    add_scaled(directions.weight * response, directions.u[index - 1], gradient);
  }
  copy(ends[0], w);
  return report;
}

}  // namespace deq
