#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "solvers/bilevel/hypergradient.h"
#include "solvers/bilevel/lbfgs.h"
#include "solvers/bilevel/vector_ops.h"
#include "tests/solvers/dense_problem.h"

namespace deq::test {
namespace {

constexpr int kFeatures = 200;
constexpr int kRows = 45;  // not reported; with these, conjugate gradients from zero err as in the table
constexpr int kSeeds = 20;
constexpr int kMemory = 10;

struct Entry {
  std::string name;
  HypergradientMethod method;
  double reported;            ///< in the table that the toy comes from
  bool is_two_sided = false;  ///< not better than reported either: this entry says that the toy is as hard
  Numbers errors{};
};

ConjugateGradientOptions steps(int count) { return {.tolerance = 0.0, .max_iterations = count}; }

std::vector<Entry> entries() {
  return {{"identity", JacobianFree{}, 0.98, true},
          {"shared", SharedInverse{}, 0.91, true},
          {"1 probe", RefinedByProbes{.probes = 1}, 0.76},
          {"2 probes", RefinedByProbes{.probes = 2}, 0.61},
          {"5 probes", RefinedByProbes{.probes = 5}, 0.30},
          {"10 probes", RefinedByProbes{.probes = 10}, 0.07},
          {"1 cold", ExactAdjoint{.solver = steps(1)}, 0.91, true},
          {"2 cold", ExactAdjoint{.solver = steps(2)}, 0.77, true},
          {"5 cold", ExactAdjoint{.solver = steps(5)}, 0.22, true},
          {"10 cold", ExactAdjoint{.solver = steps(10)}, 0.06},
          {"1 from shared", RefinedByCg{.solver = steps(1)}, 0.78},
          {"2 from shared", RefinedByCg{.solver = steps(2)}, 0.58},
          {"5 from shared", RefinedByCg{.solver = steps(5)}, 0.11},
          {"10 from shared", RefinedByCg{.solver = steps(10)}, 0.05}};
}

/// Those that are reported for a tenth of the penalty.
std::vector<Entry> weak_entries() {
  return {{"shared", SharedInverse{}, 0.94, true},
          {"10 probes", RefinedByProbes{.probes = 10}, 0.35},
          {"10 cold", ExactAdjoint{.solver = steps(10)}, 0.13},
          {"10 from shared", RefinedByCg{.solver = steps(10)}, 0.07}};
}

/// Logistic regression with column scales 10^(-i / 80) and a penalty on each feature, summed over the rows.
void measure(std::vector<Entry>& table, double penalty, std::uint64_t seed) {
  DenseProblem problem(random_rows(kRows, kFeatures, 1.0 / 80.0, 10 * seed + 1, 10 * seed + 3, 0.0),
                       random_rows(kRows, kFeatures, 1.0 / 80.0, 10 * seed + 2, 10 * seed + 3, 0.0), Loss::logistic,
                       false, true);
  const Numbers lambda(kFeatures, std::log(penalty));
  Numbers w(kFeatures, 0.0), q(kFeatures, 0.0), exact(kFeatures), gradient(kFeatures);
  QuasiNewtonMemory memory(kFeatures, kMemory, InitialInverse::scaled);
  CHECK(minimise_lbfgs(problem, lambda, w, memory, {.tolerance = 1e-4}).status == SolveStatus::converged);
  const HypergradientPoint point{.w = w, .lambda = lambda, .memory = &memory};
  estimate_hypergradient(problem, point, ExactAdjoint{.solver = {.tolerance = 1e-12, .max_iterations = 1000}}, q,
                         exact);
  for (Entry& entry : table) {
    std::fill(q.begin(), q.end(), 0.0);
    estimate_hypergradient(problem, point, entry.method, q, gradient);
    entry.errors.push_back(relative_error(gradient, exact));
  }
}

void compare(const std::vector<Entry>& table) {
  for (const Entry& entry : table) {
    CAPTURE(entry.name);
    const double error = median(entry.errors);
    MESSAGE(entry.name << ": median error " << error << ", reported " << entry.reported);
    CHECK(error <= 1.5 * entry.reported);
    if (entry.is_two_sided) CHECK(error >= entry.reported / 1.5);
  }
}

TEST_CASE("On an ill-conditioned toy no estimator errs more than half as much again as reported") {
  std::vector<Entry> table = entries();
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) measure(table, 1e-2, seed);
  const auto error_of = [&table](std::string_view name) {
    for (const Entry& entry : table)
      if (entry.name == name) return median(entry.errors);
    return std::nan("");
  };
  // A start at the shared estimate is worth more than its product, and probes need no product at all.
  CHECK(error_of("5 from shared") < error_of("5 cold"));
  CHECK(error_of("10 probes") < error_of("10 cold"));
  compare(table);
}

TEST_CASE("Nor does one with a tenth of the penalty") {
  std::vector<Entry> table = weak_entries();
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) measure(table, 1e-3, seed);
  compare(table);
}

}  // namespace
}  // namespace deq::test
