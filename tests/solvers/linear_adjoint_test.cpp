#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "solvers/policy.h"
#include "tests/solvers/linear_systems.h"
#include "tests/solvers/toy_adjoint.h"

namespace deq::test {
namespace {

const std::vector<std::string> kMethods{"broyden", "broyden-lowrank", "anderson", "picard", "gmres", "bicgstab"};
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Matrix gaussian(int n, double scale, unsigned seed) {
  std::mt19937_64 rng(seed);
  return random_matrix(n, scale, rng);
}

/// e_i -> e_(i+1): I - J^T = the shift when J = I - shift^T, on which GMRES makes no progress until the last step.
Matrix stagnating(int n) {
  Matrix out = scaled_identity(n, 1.0);
  for (int i = 0; i < n; ++i) out.at(i, (i + 1) % n) -= 1.0;
  return out;
}

}  // namespace

TEST_CASE("every method solves the adjoint exactly where it converges") {
  for (const std::string& method : kMethods) {
    CAPTURE(method);
    LinearSystems systems({gaussian(24, 0.5, 1), gaussian(24, 0.7, 2), scaled_identity(24, 0.0)});
    systems.solve(exact_by(method));
    for (int b = 0; b < 3; ++b) {
      CAPTURE(b);
      CHECK(systems.status(b) == SolveStatus::converged);
      CHECK(systems.error(b) < 1e-10);  // the tolerance times the condition number, which is below 10
      CHECK_FALSE(systems.is_fallback(b));
    }
    CHECK(systems.report.map_calls == systems.products);
  }
}

TEST_CASE("Krylov methods solve the adjoint of a map that is no contraction") {
  for (const KrylovMethod method : {KrylovMethod::gmres, KrylovMethod::bicgstab}) {
    CAPTURE(static_cast<int>(method));
    LinearSystems systems({gaussian(24, 1.6, 4), gaussian(24, 2.5, 5)});
    systems.solve(KrylovAdjoint{.method = method, .restart = 24, .max_steps = 400, .tolerance = {.value = 1e-11}});
    for (int b = 0; b < 2; ++b) CHECK(systems.error(b) < 1e-8);
  }
}

TEST_CASE("GMRES ends after as many steps as there are unknowns") {
  constexpr int kUnknowns = 12;
  LinearSystems systems({gaussian(kUnknowns, 3.0, 6), stagnating(kUnknowns)});
  systems.solve(KrylovAdjoint{.max_steps = 40, .tolerance = {.value = 1e-12}});
  for (int b = 0; b < 2; ++b) {
    CHECK(systems.status(b) == SolveStatus::converged);
    CHECK(systems.report.steps[static_cast<std::size_t>(b)] <= kUnknowns);
    CHECK(systems.error(b) < 1e-9);
  }
  CHECK(systems.report.map_calls <= kUnknowns + 2);  // the residual of the start and that of the result
}

TEST_CASE("restarted GMRES needs more steps and less memory") {
  LinearSystems systems({gaussian(40, 0.9, 7)});
  const KrylovAdjoint whole{.restart = 40, .max_steps = 200, .tolerance = {.value = 1e-10}};
  systems.solve(whole);
  const int steps = systems.report.steps_run;
  KrylovAdjoint restarted = whole;
  restarted.restart = 8;
  systems.solve(restarted);
  CHECK(systems.status(0) == SolveStatus::converged);
  CHECK(systems.error(0) < 1e-8);
  CHECK(systems.report.steps_run > steps);
  HostStateOps ops;
  CHECK(Adjoint(systems.spec, ops, restarted).workspace_bytes() < Adjoint(systems.spec, ops, whole).workspace_bytes());
}

TEST_CASE("a sample's adjoint does not depend on its batch mates") {
  for (const char* name : {"gmres", "bicgstab", "neumann-6", "nystrom-4"}) {
    CAPTURE(name);
    const std::string chosen(name);
    const bool is_method = chosen == "gmres" || chosen == "bicgstab";
    const AdjointOptions options = is_method ? exact_by(chosen, 1e-9) : adjoint_from_name(chosen);
    LinearSystems together({gaussian(16, 0.6, 1), gaussian(16, 1.3, 2), gaussian(16, 0.9, 3)}, 10);
    together.solve(options);
    for (unsigned b = 0; b < 3; ++b) {
      LinearSystems alone({together.jacobians[b]}, 10 + b);
      alone.solve(options);
      CHECK(alone.u[0] == together.u[b]);
    }
  }
}

TEST_CASE("the shared inverse preconditions Krylov methods") {
  for (const KrylovMethod method : {KrylovMethod::gmres, KrylovMethod::bicgstab}) {
    ToyAdjoint toy(0.9, 3);
    KrylovAdjoint options{.method = method, .max_steps = 100, .tolerance = {.value = 1e-9}};
    CHECK(toy.error(options) < 1e-7);
    const int cold = toy.report.map_calls;
    options.start = AdjointStart::shared;
    CHECK(toy.error(options) < 1e-7);
    CHECK(toy.report.map_calls < cold);
  }
}

TEST_CASE("limited steps of GMRES never do worse than those of other methods in the residual") {
  LinearSystems systems({gaussian(24, 0.9, 8)});
  systems.solve(with_backward_method(adjoint_from_name("limited-5"), "gmres"));
  CHECK(systems.report.map_calls == 6);
  const Vector u = systems.u[0];
  const auto residual = [&](const Vector& at) {
    Vector r = systems.jacobians[0].transposed_times(at);
    for (std::size_t i = 0; i < r.size(); ++i) r[i] += systems.w.sample(0)[i] - at[i];
    return norm(r);
  };
  const double best = residual(u);
  for (const std::string& method : kMethods) {
    systems.solve(with_backward_method(adjoint_from_name("limited-5"), method));
    CHECK(residual(systems.u[0]) > 0.999999 * best);
  }
}

TEST_CASE("the Neumann series adds up its terms and measures its residual") {
  LinearSystems systems({gaussian(10, 0.5, 9)});
  systems.solve(NeumannSeries{.terms = 4});
  Vector sum = systems.w.sample(0), term = sum;
  for (int i = 0; i < 4; ++i) {
    term = systems.jacobians[0].transposed_times(term);
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += term[k];
  }
  CHECK(distance(systems.u[0], sum) < 1e-14 * norm(sum));
  CHECK(systems.products == 5);
  const double next = norm(systems.jacobians[0].transposed_times(term));
  CHECK(systems.report.residual[0] == doctest::Approx(next / norm(sum)));
}

TEST_CASE("a Neumann series that grows stops at its best partial sum and says so") {
  // Sample 0 shrinks; sample 1 grows from the first term on; sample 2 shrinks along one axis and grows along another.
  Matrix mixed = scaled_identity(4, 0.1);
  mixed.at(3, 3) = 3.0;
  LinearSystems systems({scaled_identity(4, 0.5), scaled_identity(4, 3.0), mixed});
  systems.w.set(2, {1.0, 1.0, 1.0, 1e-3});
  systems.solve(NeumannSeries{.terms = 12});
  CHECK(systems.status(0) == SolveStatus::max_steps);
  CHECK(systems.error(0) < 1e-3);  // 2^-13
  CHECK(systems.status(1) == SolveStatus::diverged);
  CHECK(systems.is_fallback(1));
  CHECK(systems.u[1] == systems.w.sample(1));
  CHECK(systems.status(2) == SolveStatus::diverged);
  CHECK_FALSE(systems.is_fallback(2));
  CHECK(systems.report.best_step[2] > 0);
  CHECK(systems.report.best_step[2] < 12);
}

TEST_CASE("Nystrom is exact when it draws every coordinate") {
  constexpr int kSize = 9;
  for (const int columns : {kSize, 50}) {
    LinearSystems systems({gaussian(kSize, 2.0, 10), gaussian(kSize, 0.5, 11)});
    systems.solve(NystromColumns{.columns = columns});
    for (int b = 0; b < 2; ++b) {
      CHECK(systems.error(b) < 1e-10);
      CHECK(systems.report.residual[static_cast<std::size_t>(b)] < 1e-10);
    }
    CHECK(systems.products == kSize + 1);
  }
}

TEST_CASE("Nystrom on a symmetric Jacobian is exact from its rank on") {
  constexpr int kSize = 14, kRank = 5;
  std::mt19937_64 rng(12);
  Matrix low(kSize, kSize);  // indefinite
  for (int k = 0; k < kRank; ++k) {
    const Vector x = random_vector(kSize, rng);
    for (int i = 0; i < kSize; ++i)
      for (int j = 0; j < kSize; ++j) low.at(i, j) += (k % 2 == 0 ? 0.3 : -0.8) * x[i] * x[j];
  }
  LinearSystems systems({low});
  systems.solve(NystromColumns{.columns = kRank, .is_symmetric = true});
  CHECK(systems.error(0) < 1e-9);
  systems.solve(NystromColumns{.columns = kRank - 1, .is_symmetric = true});
  CHECK(systems.error(0) > 1e-3);
}

TEST_CASE("Nystrom draws by its seed and by the cotangent") {
  LinearSystems systems({gaussian(20, 0.9, 13)});
  const auto result = [&](std::uint64_t seed) {
    systems.solve(NystromColumns{.columns = 3, .seed = seed});
    return systems.u[0];
  };
  const Vector first = result(1);
  CHECK(result(1) == first);
  CHECK(result(2) != first);
}

TEST_CASE("a singular small matrix makes Nystrom fall back to the cotangent") {
  LinearSystems systems({scaled_identity(6, 1.0), scaled_identity(6, 0.5)});
  systems.solve(NystromColumns{.columns = 3});
  CHECK(systems.status(0) == SolveStatus::stalled);
  CHECK(systems.u[0] == systems.w.sample(0));
  CHECK_FALSE(systems.is_fallback(1));
  CHECK(std::isfinite(systems.report.residual[1]));
}

TEST_CASE("a failed solve never passes zeros on, and leaves its batch mates alone") {
  std::vector<AdjointOptions> all;
  for (const std::string& method : kMethods) {
    all.push_back(exact_by(method, 1e-9));
    all.push_back(with_backward_method(adjoint_from_name("limited-3"), method));
    AdjointOptions from_zero = exact_by(method, 1e-9);
    if (auto* full = std::get_if<FullAdjoint>(&from_zero)) full->start = AdjointStart::zero;
    if (auto* krylov = std::get_if<KrylovAdjoint>(&from_zero)) krylov->start = AdjointStart::zero;
    all.push_back(from_zero);
  }
  for (const char* name : {"neumann-5", "nystrom-3", "shine-refine-3", "jfb-refine-3", "limited-3"})
    all.push_back(adjoint_from_name(name));
  for (const AdjointOptions& options : all) {
    CAPTURE(name_of(options));
    LinearSystems good({gaussian(12, 0.6, 1)}, 20);
    good.solve(options);
    // Not a number, no progress within three steps from anywhere, zero denominators (I - J^T = 0), a singular history
    // (J = 0), and maps that are no contraction.
    for (const Matrix& bad :
         {scaled_identity(12, kNan), scaled_identity(12, 1e30), stagnating(12), scaled_identity(12, 1.0),
          scaled_identity(12, 0.0), scaled_identity(12, -30.0), gaussian(12, 4.0, 3)}) {
      LinearSystems systems({good.jacobians[0], bad}, 20);
      Vector unit(12, 0.0);
      unit[0] = 1.0;
      systems.w.set(1, unit);
      systems.solve(options);
      CHECK(systems.u[0] == good.u[0]);
      for (const double value : systems.u[1]) CHECK(std::isfinite(value));
      CHECK(norm(systems.u[1]) > 0.0);
      if (systems.is_fallback(1)) CHECK(systems.u[1] == systems.w.sample(1));
    }
  }
}

TEST_CASE("the status of a bad adjoint solve says what happened") {
  for (const std::string& method : kMethods) {
    CAPTURE(method);
    LinearSystems systems({scaled_identity(12, kNan), scaled_identity(12, HUGE_VAL), scaled_identity(12, 1.0),
                           scaled_identity(12, 0.0), scaled_identity(12, -30.0)},
                          20);
    systems.solve(exact_by(method, 1e-9));
    for (const int b : {0, 1}) {
      CHECK(systems.status(b) == SolveStatus::nonfinite);
      CHECK(systems.is_fallback(b));
      CHECK(systems.u[b] == systems.w.sample(b));
    }
    CHECK(systems.status(2) != SolveStatus::converged);  // 0 u = w has no solution
    CHECK(systems.status(3) == SolveStatus::converged);
    CHECK(systems.u[3] == systems.w.sample(3));
    if (method == "picard") {
      CHECK(systems.status(4) == SolveStatus::diverged);
      CHECK(systems.is_fallback(4));  // 31/30 of |f| at every step, while u grows without bound
      CHECK(systems.u[4] == systems.w.sample(4));
    } else {
      CHECK(systems.status(4) == SolveStatus::converged);
      CHECK(systems.error(4) < 1e-6);
    }
  }
}

TEST_CASE("a stagnating solve from zero takes the cotangent and is marked") {
  LinearSystems systems({stagnating(12)});
  Vector unit(12, 0.0);
  unit[0] = 1.0;
  systems.w.set(0, unit);
  systems.solve(with_backward_method(adjoint_from_name("limited-3"), "gmres"));
  CHECK(systems.is_fallback(0));
  CHECK(systems.u[0] == unit);
  CHECK(std::isnan(systems.report.residual[0]));
}

TEST_CASE("every estimator handles a state of one number") {
  const auto solved = [](const AdjointOptions& options) {
    LinearSystems systems({scaled_identity(1, 0.5)});
    systems.solve(options);
    return systems.u[0][0] / systems.w.sample(0)[0];
  };
  for (const std::string& method : kMethods) {
    CAPTURE(method);
    CHECK(solved(exact_by(method)) == doctest::Approx(2.0));
    if (method != "picard")
      CHECK(solved(with_backward_method(adjoint_from_name("limited-3"), method)) == doctest::Approx(2.0));
  }
  CHECK(solved(adjoint_from_name("nystrom-1")) == doctest::Approx(2.0));
  CHECK(solved(adjoint_from_name("neumann-3")) == doctest::Approx(1.875));
  CHECK(solved(adjoint_from_name("shine-refine-2")) == doctest::Approx(2.0));
  CHECK(solved(adjoint_from_name("jfb-refine-2")) == doctest::Approx(2.0));
  CHECK(solved(adjoint_from_name("jfb")) == doctest::Approx(1.0));
}

TEST_CASE("new estimator names read back and bad options are refused") {
  for (const char* name : {"neumann-5", "nystrom-20", "phantom-5", "unrolled-3"})
    CHECK(name_of(adjoint_from_name(name)) == name);
  CHECK(name_of(with_backward_method(adjoint_from_name("limited-4"), "gmres")) == "limited-4");
  CHECK(name_of(exact_by("bicgstab")) == "exact");
  CHECK(with_backward_method(JacobianFree{}, "gmres") == AdjointOptions(JacobianFree{}));
  CHECK_THROWS_AS((void)with_backward_method(FullAdjoint{}, "newton"), RequestError);
  const StateSpec spec{.batch = 1, .block_elems = {4}};
  HostStateOps ops;
  for (const AdjointOptions& options :
       {AdjointOptions(NeumannSeries{.terms = 0}), AdjointOptions(NeumannSeries{.max_growth = 1.0}),
        AdjointOptions(NystromColumns{.columns = 0}), AdjointOptions(KrylovAdjoint{.restart = 0}),
        AdjointOptions(KrylovAdjoint{.method = KrylovMethod::bicgstab, .max_steps = 0})})
    CHECK_THROWS_AS(Adjoint(spec, ops, options), RequestError);
}

TEST_CASE("more states than can be kept are refused with what to change") {
  HostStateOps ops;
  constexpr int kTooMany = 2000000000;
  const StateSpec spec{.batch = 1, .block_elems = {1 << 20}};
  const KrylovAdjoint gmres{.restart = kTooMany, .max_steps = kTooMany};
  CHECK_THROWS_WITH_AS(Adjoint(spec, ops, gmres), doctest::Contains("lower restart"), RequestError);
  CHECK_THROWS_WITH_AS(Adjoint(spec, ops, NystromColumns{.columns = kTooMany}), doctest::Contains("lower it"),
                       RequestError);
  CHECK_NOTHROW(Adjoint(spec, ops, KrylovAdjoint{.restart = kTooMany, .max_steps = 30}));
}

TEST_CASE("a tolerance of a Krylov method that is not finite is refused") {
  HostStateOps ops;
  const StateSpec spec{.batch = 1, .block_elems = {4}};
  const Tolerance infinite{.value = std::numeric_limits<double>::infinity()};
  for (const KrylovMethod method : {KrylovMethod::gmres, KrylovMethod::bicgstab})
    CHECK_THROWS_WITH_AS(Adjoint(spec, ops, KrylovAdjoint{.method = method, .tolerance = infinite}),
                         doctest::Contains("tolerance is inf but must be finite"), RequestError);
}

TEST_CASE("the preset of Nguyen and Mauch is Broyden forward and its inverse backward, without a guard") {
  const auto policy = policy_from_name("gdeq", {.max_steps = 9});
  CHECK(policy->describe() == "broyden(max_steps=9, relative 0.001), shine");
  CHECK(policy->adjoint() == AdjointOptions(SharedInverse{.max_gain = 0.0}));
  CHECK_FALSE(policy->needs_vjp());
  CHECK(forward_method_of("gdeq", Anderson{}, 7) == SolverMethod(Broyden{.memory = 7}));
  const SolverMethod pairs = Broyden{.form = BroydenForm::low_rank};
  CHECK(policy_from_name("gdeq", {.method = pairs})->solver().method == pairs);
}

TEST_CASE("estimators that need a forward solver of their own get it from their name") {
  const SolverMethod plain = AdjointBroyden{.memory = 4}, aware = AdjointBroyden{.memory = 4, .outer_every = 3};
  CHECK(policy_from_name("adjoint-broyden", {.method = Broyden{.memory = 4}})->solver().method == plain);
  CHECK(policy_from_name("adjoint-broyden", {.method = plain})->solver().method == plain);
  CHECK(policy_from_name("adjoint-broyden-opa", {.method = aware})->solver().method == aware);
  CHECK(policy_from_name("adjoint-broyden-opa", {.method = plain})->solver().method ==
        SolverMethod(AdjointBroyden{.memory = 4, .outer_every = kOuterEvery}));
  CHECK(policy_from_name("adjoint-broyden-opa")->forward_needs().outer_gradient);
  CHECK(policy_from_name("exact", {.method = Anderson{}})->solver().method == SolverMethod(Anderson{}));
  CHECK(forward_method_of("adjoint-broyden", Picard{}, 4) == plain);
  CHECK(forward_method_of("shine", Picard{}, 4) == SolverMethod(Picard{}));
}

TEST_CASE("a forward solver that the estimator cannot run on is refused") {
  CHECK_THROWS_WITH_AS((void)policy_from_name("adjoint-broyden", {.method = Anderson{}}),
                       "policy: the estimator 'adjoint-broyden' runs on adjoint-broyden but solver.method is anderson; "
                       "leave it out, or choose another estimator",
                       RequestError);
  const SolverMethod aware = AdjointBroyden{.outer_every = 3};
  CHECK_THROWS_AS((void)policy_from_name("adjoint-broyden", {.method = aware}), RequestError);
  CHECK_THROWS_AS((void)policy_from_name("gdeq", {.method = AdjointBroyden{}}), RequestError);
  CHECK_THROWS_AS((void)policy_from_name("adjoint-broyden", {.method = Broyden{.form = BroydenForm::low_rank}}),
                  RequestError);
  CHECK_THROWS_AS((void)policy_from_name("shin"), RequestError);
}

TEST_CASE("a backward by a solver that works forward only is refused with the policy") {
  for (const SolverMethod& method : {SolverMethod(NewtonKrylov{}), SolverMethod(AdjointBroyden{})}) {
    CHECK_THROWS_WITH_AS(ImplicitPolicy({}, FullAdjoint{.solver = {.method = method}}),
                         doctest::Contains("solves forward only"), RequestError);
    CHECK_THROWS_WITH_AS(ImplicitPolicy({}, Refined{.method = method}), doctest::Contains("solves forward only"),
                         RequestError);
    CHECK_NOTHROW(ImplicitPolicy({.method = method}, FullAdjoint{}));
  }
}

}  // namespace deq::test
