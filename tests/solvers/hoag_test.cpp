#include "solvers/bilevel/hoag.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "solvers/bilevel/logistic_regression.h"
#include "solvers/bilevel/search.h"

namespace deq {
namespace {

constexpr std::int64_t kFeatures = 12;

Samples random_samples(std::int64_t rows, std::uint32_t site) {
  const RandomStream stream{.seed = 5, .site = site};
  const RandomStream noise{.seed = 6, .site = site};
  std::vector<double> values(static_cast<std::size_t>(rows * kFeatures));
  std::vector<double> labels(static_cast<std::size_t>(rows));
  for (std::int64_t i = 0; i < rows; ++i) {
    double score = normal(noise, i);
    for (std::int64_t j = 0; j < kFeatures; ++j) {
      const double value = normal(stream, i * kFeatures + j);
      values[i * kFeatures + j] = value;
      score += j < 4 ? value : 0.0;  // the other features are noise: there is something to penalise
    }
    labels[i] = score > 0 ? 1 : -1;
  }
  return {.features = SparseMatrix::from_dense(rows, kFeatures, values), .labels = labels};
}

std::unique_ptr<BilevelProblem> make_problem(PenaltyGroups groups = PenaltyGroups::shared) {
  return std::make_unique<LogisticRegression>(
      BilevelSamples{
          .train = random_samples(60, 1), .validation = random_samples(80, 2), .test = random_samples(50, 3)},
      groups);
}

const std::vector<double>& start_w() {
  static const std::vector<double> w = [] {
    std::vector<double> out;
    for (std::int64_t i = 0; i < kFeatures; ++i) out.push_back(normal(RandomStream{.seed = 1}, i));
    return out;
  }();
  return w;
}

HoagOptions options_for(std::string_view name) {
  return {.lower = {.method = method_preset(name).value(), .make_problem = [] { return make_problem(); }},
          .tolerance = {.factor = method_preset(name)->tolerance_factor}};
}

OuterResult run(std::string_view name) {
  const auto problem = make_problem();
  return run_hoag(*problem, {0.0}, start_w(), options_for(name));
}

/// The smallest F over a fine grid of lambda, with exact inner solutions.
double best_on_grid() {
  static const double best = [] {
    const auto problem = make_problem();
    const OuterResult found = run_search(*problem, grid_candidates(121, 12, 1), {0.0}, start_w(),
                                         {.inner = {.tolerance = 1e-8}, .memory = 30});
    double out = found.trace.back().validation_loss;
    for (std::size_t k = 1; k < found.trace.size(); ++k) out = std::min(out, found.trace[k].validation_loss);
    return out;
  }();
  return best;
}

}  // namespace

TEST_CASE("tolerances follow their schedule down to the floor and can be halved") {
  ToleranceSequence exponential({.initial = 1e-3, .factor = 0.5});
  exponential.advance();
  CHECK(exponential.value() == doctest::Approx(5e-4));
  exponential.halve();
  CHECK(exponential.value() == doctest::Approx(2.5e-4));
  exponential.advance();
  CHECK(exponential.value() == doctest::Approx(1.25e-4));
  ToleranceSequence cubic({.decay = ToleranceDecay::cubic, .initial = 1e-3});
  cubic.advance();
  CHECK(cubic.value() == doctest::Approx(1e-3 / 8));
  CHECK(ToleranceSequence({.decay = ToleranceDecay::exact, .floor = 1e-9}).value() == 1e-9);
}

TEST_CASE("budgets of conjugate gradients grow as the published ones do") {
  CHECK(adjoint_iterations(AdjointBudget::refine, 1e-3) == 0);
  CHECK(adjoint_iterations(AdjointBudget::refine, 9.9e-5) == 1);
  CHECK(adjoint_iterations(AdjointBudget::refine, 1e-3 * std::pow(0.78, 28)) == 10);
  CHECK(adjoint_iterations(AdjointBudget::limited, 1e-3) == 5);
  CHECK(adjoint_iterations(AdjointBudget::full, 1e-3) == 10000);
}

TEST_CASE("methods are found by name, with and without a number") {
  CHECK(method_preset("hoag")->memory == 10);
  CHECK(method_preset("shine-opa")->memory == 60);
  CHECK(std::get<RefinedByProbes>(std::get<ImplicitMethod>(method_preset("shine-probes-7")->method).estimate).probes ==
        7);
  CHECK(std::get<EsjOptions>(method_preset("esj")->method).directions == 10);
  for (const char* name : {"", "shin", "shine-probes-", "shine-probes-0", "nystrom-x", "esj-1e3", "hoag-5"})
    CHECK_FALSE(method_preset(name).has_value());
}

TEST_CASE("the executed step moves by two and takes back only its own tentative move") {
  AdaptiveStep step({.form = AdaptiveForm::executed, .bound = 12}, 1);
  std::vector<double> lambda = {0};
  const std::vector<double> gradient = {40};
  CHECK(step.step(100, gradient, 1e-4, 1e-3, lambda) == StepVerdict::longer);
  CHECK(lambda[0] == doctest::Approx(-2));  // one over L is 1/40, applied twice
  // The factor that aliasing leaves: exp(lambda before - lambda now).
  CHECK(step.tolerance_factor() == doctest::Approx(std::exp(2.0)));
  // F grew: L doubles and lambda stays where it was evaluated, not where it was better.
  const double before = step.lipschitz();
  CHECK(step.step(130, gradient, 1e-4, 1e-3, lambda) == StepVerdict::rejected);
  CHECK(lambda[0] == doctest::Approx(-2));
  CHECK(step.lipschitz() == doctest::Approx(2 * before));
  CHECK(step.step(129, {std::vector<double>{0}}, 1e-4, 1e-3, lambda) == StepVerdict::stationary);
}

TEST_CASE("the clean step moves once and returns to the last accepted lambda") {
  AdaptiveStep step({.form = AdaptiveForm::clean, .bound = 12, .first_length = 2}, 1);
  std::vector<double> lambda = {0};
  CHECK(step.step(100, std::vector<double>{40}, 1e-4, 1e-3, lambda) == StepVerdict::longer);
  CHECK(lambda[0] == doctest::Approx(-2));
  CHECK(step.step(101, std::vector<double>{-900}, 1e-4, 1e-3, lambda) == StepVerdict::rejected);
  CHECK(lambda[0] == doctest::Approx(-1));  // half the step from 0, by the gradient that was measured there
  CHECK(step.tolerance_factor() == 1);
  lambda = {11.5};
  AdaptiveStep bounded({.form = AdaptiveForm::clean, .bound = 12}, 1);
  CHECK(bounded.step(100, std::vector<double>{-3}, 1e-4, 1e-3, lambda) == StepVerdict::longer);
  CHECK(lambda[0] == 12);
}

TEST_CASE("points 0 and 1 coincide for all gradient methods and point 2 differs by its sign alone") {
  const OuterResult hoag = run("hoag");
  REQUIRE(hoag.trace.size() == 30);
  for (const char* name : {"shine", "jfb", "shine-refine", "nystrom-4", "shine-probes-3"}) {
    INFO(name);
    const OuterResult other = run(name);
    CHECK(other.trace[0].validation_loss == hoag.trace[0].validation_loss);
    CHECK(other.trace[1].lambda[0] == 0);
    // Both inner solves end below 1e-3 of the first gradient, from the same w.
    CHECK(other.trace[1].validation_loss == doctest::Approx(hoag.trace[1].validation_loss).epsilon(1e-3));
    CHECK(std::abs(other.trace[2].lambda[0]) == doctest::Approx(2));
  }
}

TEST_CASE("every method with a hypergradient comes close to the best penalty of a fine grid") {
  for (const char* name : {"hoag", "hoag-limited", "shine", "shine-opa", "shine-refine", "shine-probes-5", "nystrom-6",
                           "esj-1", "unrolled-40"}) {
    INFO(name);
    const OuterResult result = run(name);
    CHECK(result.status == OuterStatus::finished);
    double best = result.trace.back().validation_loss;
    for (const OuterPoint& point : result.trace) best = std::min(best, point.validation_loss);
    // F is flat around its minimum: 1 % of it is within a step of lambda.
    CHECK(best <= 1.01 * best_on_grid());
    CHECK(std::isfinite(result.trace.back().test_loss));
  }
}

TEST_CASE("the losses of a point belong to the same w") {
  // With one part for both, the two losses of any w are equal.
  const Samples held_out = random_samples(80, 2);
  const ProblemFactory make = [&] {
    return std::make_unique<LogisticRegression>(
        BilevelSamples{.train = random_samples(60, 1), .validation = held_out, .test = held_out},
        PenaltyGroups::shared);
  };
  for (const char* name : {"hoag", "shine-opa", "shine-probes-5", "nystrom-6", "esj-1", "unrolled-3"}) {
    INFO(name);
    HoagOptions options = options_for(name);
    options.points = 5;
    options.lower.make_problem = make;
    const auto problem = make();
    for (const OuterPoint& point : run_hoag(*problem, {0.0}, start_w(), options).trace)
      CHECK(point.validation_loss == doctest::Approx(point.test_loss).epsilon(1e-12));
  }
}

TEST_CASE("every outer optimiser comes close to the best penalty of a fine grid") {
  for (const OuterStep& step :
       {OuterStep(AdaptiveStepOptions{.form = AdaptiveForm::clean}), OuterStep(GradientDescent{.rate = 0.2}),
        OuterStep(AdamDescent{.rate = 0.3}), OuterStep(ElraDescent{})}) {
    INFO(step.index());
    const auto problem = make_problem();
    HoagOptions options = options_for("shine-refine");
    options.step = step;
    options.points = 40;
    options.tolerance.initial = 1e-6;  // ELRA takes noise in F for a step that was too long
    const OuterResult result = run_hoag(*problem, {0.0}, start_w(), options);
    double best = result.trace.back().validation_loss;
    for (const OuterPoint& point : result.trace) best = std::min(best, point.validation_loss);
    CHECK(best <= 1.01 * best_on_grid());
  }
}

TEST_CASE("one penalty for each feature fits the validation part better than one for all") {
  const auto problem = make_problem(PenaltyGroups::per_weight);
  HoagOptions options = options_for("hoag");
  options.points = 60;
  const OuterResult result = run_hoag(*problem, std::vector<double>(kFeatures, 0.0), start_w(), options);
  double best = result.trace.back().validation_loss;
  for (const OuterPoint& point : result.trace) best = std::min(best, point.validation_loss);
  CHECK(best < 0.97 * best_on_grid());
}

TEST_CASE("outer-aware pairs and budgets show in what is counted") {
  // Without memory every inner solve takes several steps, so that the period of extra pairs is met.
  const auto run_cold = [](std::string_view name, PenaltyGroups groups) {
    HoagOptions options = options_for(name);
    options.points = 8;
    options.lower.carries_memory = false;
    const auto problem = make_problem(groups);
    return run_hoag(*problem, std::vector<double>(problem->outer_size(), 0.0), start_w(), options);
  };
  const OuterResult shine = run_cold("shine", PenaltyGroups::shared),
                    aware = run_cold("shine-opa", PenaltyGroups::shared);
  const OuterResult refine = run("shine-refine"), hoag = run("hoag");
  CHECK(shine.trace.back().count.hessian_products == 0);
  CHECK(aware.trace.back().count.hessian_products == 0);
  CHECK(refine.trace.back().count.hessian_products > 0);
  CHECK(hoag.trace.back().count.hessian_products > refine.trace.back().count.hessian_products);
  // The extra pairs of one penalty are aimed with its derivative, those of several with the gradient of F.
  CHECK(aware.trace.back().count.outer_gradients == shine.trace.back().count.outer_gradients);
  CHECK(run_cold("shine-opa", PenaltyGroups::per_weight).trace.back().count.outer_gradients >
        run_cold("shine", PenaltyGroups::per_weight).trace.back().count.outer_gradients);
  for (std::size_t i = 1; i < hoag.trace.size(); ++i) {
    CHECK(hoag.trace[i].count.inner_gradients > hoag.trace[i - 1].count.inner_gradients);
    CHECK(hoag.trace[i].seconds >= hoag.trace[i - 1].seconds);
  }
}

TEST_CASE("what the executed step makes of an inner tolerance stays above the floor") {
  HoagOptions options = options_for("jfb");  // its steps are long, so the factor exp(before - now) is small
  options.tolerance.floor = 1e-3;
  const auto problem = make_problem();
  const OuterResult result = run_hoag(*problem, {6.0}, start_w(), options);
  const double floor = 1e-3 * result.trace.front().inner_residual;
  bool is_met = false;
  for (std::size_t k = 1; k < result.trace.size(); ++k) {
    CHECK(result.trace[k].inner_tolerance >= floor);
    is_met = is_met || result.trace[k].inner_tolerance == floor;
  }
  CHECK(is_met);
}

TEST_CASE("a penalty that overflows and an inner solver that runs out of steps are statuses") {
  const auto problem = make_problem();
  HoagOptions options = options_for("shine");
  options.bound = 2000;
  const OuterResult overflow = run_hoag(*problem, {800.0}, start_w(), options);
  CHECK(overflow.status == OuterStatus::nonfinite);
  CHECK(overflow.trace.size() >= 1);
  options = options_for("shine");
  options.lower.inner.max_iterations = 1;
  const OuterResult short_solve = run_hoag(*problem, {0.0}, start_w(), options);
  CHECK(short_solve.status == OuterStatus::finished);
  CHECK(short_solve.trace[1].inner_status == SolveStatus::max_steps);
  CHECK(short_solve.trace[1].inner_residual > short_solve.trace[1].inner_tolerance);
}

TEST_CASE("a run stops when it is asked to, with the points it has") {
  const auto problem = make_problem();
  int points = 0;
  const OuterResult result =
      run_hoag(*problem, {0.0}, start_w(), options_for("shine"),
               {.observe = [&](const OuterPoint&) { ++points; }, .is_stopped = [&] { return points >= 4; }});
  CHECK(result.status == OuterStatus::stopped);
  CHECK(result.trace.size() == 4);
}

TEST_CASE("searches visit their candidates, the grid's at equal distances") {
  const auto grid = grid_candidates(5, 12, 2);
  CHECK(grid == std::vector<std::vector<double>>{{-12, -12}, {-6, -6}, {0, 0}, {6, 6}, {12, 12}});
  CHECK(grid_candidates(1, 12, 1) == std::vector<std::vector<double>>{{0}});
  const auto random = random_candidates(50, 3, 2, 7);
  CHECK(random == random_candidates(50, 3, 2, 7));
  CHECK(random != random_candidates(50, 3, 2, 8));
  for (const auto& candidate : random) CHECK(std::max(std::abs(candidate[0]), std::abs(candidate[1])) <= 3);
}

TEST_CASE("a search goes on past a candidate whose loss is not finite") {
  const auto problem = make_problem();
  const OuterResult found = run_search(*problem, {{800.0}, {1.0}}, {0.0}, start_w(), {});
  CHECK(found.status == OuterStatus::finished);
  REQUIRE(found.trace.size() == 3);
  CHECK(found.trace[1].inner_status == SolveStatus::nonfinite);
  CHECK(found.trace[2].inner_status == SolveStatus::converged);
  CHECK(run_search(*problem, {{1.0}}, {800.0}, start_w(), {}).status == OuterStatus::nonfinite);
}

}  // namespace deq
