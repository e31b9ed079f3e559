#include "tests/solvers/golden.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/solvers/toy_maps.h"

namespace deq::test {
namespace {

/// f(z) = tanh(z W^T + x U^T + b) of the reference data, row b of x for sample b.
struct Contract {
  explicit Contract(const Golden& golden)
      : w(32, 32), u(32, 24), x(golden.arrays.at("x")), b(golden.arrays.at("b")), c(golden.arrays.at("c")) {
    w.data = golden.arrays.at("W");
    u.data = golden.arrays.at("U");
  }
  [[nodiscard]] Vector row(const Vector& all, int sample, int width) const {
    return {all.begin() + sample * width, all.begin() + (sample + 1) * width};
  }
  [[nodiscard]] Vector f(int sample, const Vector& z) const {
    Vector y = w.times(z);
    const Vector injected = u.times(row(x, sample, 24));
    for (int i = 0; i < 32; ++i) y[i] = std::tanh(y[i] + injected[i] + b[i]);
    return y;
  }
  [[nodiscard]] Vector scaled(int sample, const Vector& z, Vector v) const {
    const Vector y = f(sample, z);
    for (int i = 0; i < 32; ++i) v[i] *= 1.0 - y[i] * y[i];
    return v;
  }
  Matrix w;
  Matrix u;
  Vector x;
  Vector b;
  Vector c;
};

const StateSpec kSpec{.batch = 4, .block_elems = {32}, .dtype = DType::f64};

/// Largest difference between the points at which a run of ours and of the reference evaluated f.
double query_error(const Golden& golden, const std::string& run, const SolverMethod& method, int calls) {
  const Contract contract(golden);
  BoundLoop solver(kSpec, {.method = method, .max_steps = calls - 1, .tolerance = {.value = 0.0}});
  SampleMap map(kSpec, [&](int sample, const Vector& z) { return contract.f(sample, z); });
  const State z(kSpec);
  solver.loop.solve(map, z.view(), solver.report);
  REQUIRE(static_cast<int>(map.queries.size()) == calls);
  const Vector& expected = golden.arrays.at(run + ".queries");
  double worst = 0.0;
  for (int call = 0; call < calls; ++call)
    for (int b = 0; b < 4; ++b)
      for (int i = 0; i < 32; ++i)
        worst = std::max(worst, std::abs(map.queries[call][b][i] - expected[(call * 4 + b) * 32 + i]));
  return worst;
}

// Double rounding of independently ordered sums, amplified along a run.
constexpr double kQueryTolerance = 1e-9;

}  // namespace

TEST_CASE("both forms of Broyden evaluate f where the reference does") {
  const auto golden = fixed_point_golden();
  if (!golden) return;
  for (const BroydenForm form : {BroydenForm::low_rank, BroydenForm::product}) {
    CAPTURE(static_cast<int>(form));
    CHECK(query_error(*golden, "lib_broyden_rel_f64", Broyden{.form = form}, 26) < kQueryTolerance);
    CHECK(query_error(*golden, "lib_broyden_abs_f64", Broyden{.form = form}, 27) < kQueryTolerance);
    CHECK(query_error(*golden, "lib_broyden_short_f64", Broyden{.form = form}, 8) < kQueryTolerance);
  }
}

TEST_CASE("Anderson with the reference's constants evaluates f where the reference does") {
  const auto golden = fixed_point_golden();
  if (!golden) return;
  CHECK(query_error(*golden, "lib_anderson_abs_f64", kReferenceAnderson, 60) < kQueryTolerance);
}

TEST_CASE("the relative ridge needs far fewer steps than the reference's absolute one") {
  const auto golden = fixed_point_golden();
  if (!golden) return;
  const Contract contract(*golden);
  SampleMap map(kSpec, [&](int sample, const Vector& z) { return contract.f(sample, z); });
  BoundLoop solver(kSpec, {.method = Anderson{}, .max_steps = 60, .tolerance = {1e-9, NormMode::absolute}});
  const State z(kSpec);
  solver.loop.solve(map, z.view(), solver.report);
  CHECK(solver.report.count(SolveStatus::converged) == 4);
  CHECK(solver.report.steps_run < 40);  // the reference stands at 1.6e-7 after 60
}

TEST_CASE("both forms of Broyden leave the same inverse behind") {
  const auto golden = fixed_point_golden();
  if (!golden) return;
  const Contract contract(*golden);
  SampleMap map(kSpec, [&](int sample, const Vector& z) { return contract.f(sample, z); });
  const SolverOptions options{.max_steps = 15, .tolerance = {.value = 0.0}};
  SolverOptions low_rank = options;
  low_rank.method = Broyden{.form = BroydenForm::low_rank};
  BoundLoop product_solver(kSpec, options);
  BoundLoop sum_solver(kSpec, low_rank);
  const State z_product(kSpec);
  const State z_sum(kSpec);
  product_solver.loop.solve(map, z_product.view(), product_solver.report);
  sum_solver.loop.solve(map, z_sum.view(), sum_solver.report);
  const State w = random_state(kSpec, 5);
  const State a(kSpec);
  const State b(kSpec);
  for (const bool transposes : {false, true}) {
    for (auto [solver, out] : {std::pair{&product_solver, &a}, std::pair{&sum_solver, &b}}) {
      const InverseEstimate& m_inv = solver->loop.estimate();
      transposes ? m_inv.apply_transpose(w.view(), out->view()) : m_inv.apply(w.view(), out->view());
    }
    // Rounding of z (1e-16) enters the factors relative to |s|, so the two runs part as 1e-16 / |s| grows: 2e-10 here,
    // 7e-5 after 24 steps.
    for (int sample = 0; sample < 4; ++sample) CHECK(distance(a.sample(sample), b.sample(sample)) < 1e-8);
  }
}

TEST_CASE("implicit gradients of a tight solve match the exact ones") {
  const auto golden = fixed_point_golden();
  if (!golden) return;
  const Contract contract(*golden);
  SampleMap map(kSpec, [&](int sample, const Vector& z) { return contract.f(sample, z); });
  BoundLoop solver(kSpec, {.max_steps = 40, .tolerance = {1e-13, NormMode::absolute}});
  const State z(kSpec);
  solver.loop.solve(map, z.view(), solver.report);

  SampleMap vjp(kSpec, [&](int sample, const Vector& v) {
    return contract.w.transposed_times(contract.scaled(sample, z.sample(sample), v));
  });
  Adjoint adjoint(kSpec, solver.ops,
                  FullAdjoint{.solver = {.max_steps = 60, .tolerance = {1e-13, NormMode::absolute}}});
  const AlignedBytes workspace = allocate_aligned(adjoint.workspace_bytes());
  adjoint.bind(workspace.get());
  State w(kSpec);
  for (int sample = 0; sample < 4; ++sample) w.set(sample, contract.row(contract.c, sample, 32));
  const State u(kSpec);
  SolveReport report;
  adjoint.solve(vjp, solver.loop.estimate(), solver.report, w.view(), u.view(), report);

  constexpr double kTolerance = 1e-8;
  Matrix d_w(32, 32);
  Matrix d_u(32, 24);
  Vector d_b(32, 0.0);
  double worst = 0.0;
  for (int sample = 0; sample < 4; ++sample) {
    const Vector z_star = z.sample(sample);
    CHECK(distance(z_star, contract.row(golden->arrays.at("exact_z"), sample, 32)) < kTolerance);
    CHECK(distance(u.sample(sample), contract.row(golden->arrays.at("exact_u"), sample, 32)) < kTolerance);
    const Vector d_pre = contract.scaled(sample, z_star, u.sample(sample));
    const Vector d_x = contract.u.transposed_times(d_pre);
    worst = std::max(worst, distance(d_x, contract.row(golden->arrays.at("exact_dx"), sample, 24)));
    for (int i = 0; i < 32; ++i) {
      d_b[i] += d_pre[i];
      for (int j = 0; j < 32; ++j) d_w.at(i, j) += d_pre[i] * z_star[j];
      for (int j = 0; j < 24; ++j) d_u.at(i, j) += d_pre[i] * contract.x[sample * 24 + j];
    }
  }
  CHECK(worst < kTolerance);
  CHECK(distance(d_b, golden->arrays.at("exact_db")) < kTolerance);
  CHECK(distance(d_w.data, golden->arrays.at("exact_dW")) < kTolerance);
  CHECK(distance(d_u.data, golden->arrays.at("exact_dU")) < kTolerance);
}

}  // namespace deq::test
