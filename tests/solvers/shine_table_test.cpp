#include <doctest/doctest.h>

#include <cmath>

#include "tests/solvers/toy_adjoint.h"

// The table of measured figures for SHINE on a toy equilibrium. Its figures are of one random instance; ours are
// medians over many, held to within a factor.

namespace deq::test {
namespace {

constexpr double kFactor = 3.0;

/// `found` lies within a factor of the figure of the table.
void check_near(double found, double figure) {
  CAPTURE(found);
  CAPTURE(figure);
  CHECK(found < kFactor * figure);
  CHECK(found > figure / kFactor);
}

double refined_error(double scale, AdjointStart start, int steps) {
  return median_over_toys(scale, [&](ToyAdjoint& toy) { return toy.error(Refined{.start = start, .steps = steps}); });
}

/// Refined from SHINE's u, but with the forward inverse as it is where its transpose belongs.
double untransposed_error(double scale, int steps) {
  return median_over_toys(scale, [&](ToyAdjoint& toy) {
    const InverseEstimate& inverse = toy.forward.loop.estimate();
    return toy.error_of(toy.refined_by_hand(toy.adjoint(SharedInverse{}), inverse, steps));
  });
}

}  // namespace

TEST_CASE("sharing needs the left product") {
  const double left = median_over_toys(0.9, [](ToyAdjoint& toy) { return toy.cosine(toy.adjoint(SharedInverse{})); });
  const double right = median_over_toys(0.9, [](ToyAdjoint& toy) {
    const State u(toy.spec);
    toy.forward.loop.estimate().apply(toy.w.view(), u.view());
    return toy.cosine(u.sample(0));
  });
  const double jfb = median_over_toys(0.9, [](ToyAdjoint& toy) { return toy.cosine(toy.adjoint(JacobianFree{})); });
  CHECK(left > jfb);
  CHECK(jfb > right);
  // What is missing to a cosine of 1 is what an estimator gets wrong.
  check_near(1.0 - left, 1.0 - 0.928);
  check_near(1.0 - right, 1.0 - 0.784);
  check_near(1.0 - jfb, 1.0 - 0.858);
}

TEST_CASE("a shared estimate stays inexact however tight the forward solve") {
  constexpr SolverOptions kTight{.max_steps = 120, .tolerance = {1e-13, NormMode::absolute}};
  struct Row {
    double scale, shared, identity;
  };
  for (const Row& row : {Row{0.5, 0.30, 0.41}, Row{0.9, 0.37, 0.52}, Row{1.5, 0.64, 0.89}}) {
    CAPTURE(row.scale);
    const auto error = [&](const AdjointOptions& options) {
      return quantile(over_toys(
                          row.scale, [&](ToyAdjoint& toy) { return toy.error(options); }, kTight),
                      0.5);
    };
    const double shared = error(SharedInverse{});
    const double identity = error(JacobianFree{});
    check_near(shared, row.shared);
    check_near(identity, row.identity);
    CHECK(shared < identity);
  }
}

TEST_CASE("the exact adjoint gives the derivative that central differences give, sign included") {
  // L = w . z*(b): dL/db_i = u_i (1 - z_i^2) with u = (I - J^T)^-1 w.
  constexpr SolverOptions kTight{.max_steps = 120, .tolerance = {1e-14, NormMode::absolute}, .patience = 0};
  constexpr double kStep = 1e-5;
  ToyAdjoint toy(0.9, 5, kTight);
  const Vector u = toy.adjoint(FullAdjoint{.solver = kTight});
  const Vector z = toy.z.sample(0), w = toy.w.sample(0);
  Vector found(u.size()), expected(u.size());
  for (std::size_t i = 0; i < u.size(); ++i) {
    double loss[2];
    for (const int side : {0, 1}) {
      TanhModel moved = toy.model;
      moved.b[i] += side == 0 ? kStep : -kStep;
      SampleMap map(
          toy.spec, [&](int, const Vector& at) { return moved.f(at); }, false);
      BoundLoop solver(toy.spec, kTight, EstimateUse::dropped);
      const State at(toy.spec);
      solver.loop.solve(map, at.view(), solver.report);
      loss[side] = dot(w, at.sample(0));
    }
    found[i] = (loss[0] - loss[1]) / (2 * kStep);
    expected[i] = u[i] * (1.0 - z[i] * z[i]);
  }
  CHECK(distance(found, expected) < 1e-6 * norm(expected));
}

TEST_CASE("adjoint Broyden and its extra updates give the errors of the table") {
  constexpr double kConverged = 1e-13;
  struct Row {
    double scale, plain, outer, compatible;
  };
  for (const Row& row : {Row{0.5, 0.065, 7e-4, 0.031}, Row{0.9, 0.065, 8e-4, 0.056}, Row{1.5, 0.065, 1.6e-3, 0.045}}) {
    CAPTURE(row.scale);
    const auto errors = [&](int every, OuterDirection direction) {
      const SolverOptions options{.method = AdjointBroyden{.outer_every = every, .direction = direction},
                                  .max_steps = 120,
                                  .tolerance = {kConverged, NormMode::absolute}};
      return over_toys(
          row.scale, [&](ToyAdjoint& toy) { return toy.error(SharedInverse{}); }, options);
    };
    check_near(quantile(errors(0, OuterDirection::transposed), 0.5), row.plain);
    const Vector outer = errors(kOuterEvery, OuterDirection::transposed);
    const double compatible = quantile(errors(kOuterEvery, OuterDirection::compatible), 0.5);
    // What the extra updates leave depends on how many steps before the end the last one came. The table's instance is
    // an unlucky one: of ours, nine in ten are better.
    check_near(quantile(outer, 0.9), row.outer);
    CHECK(quantile(outer, 0.5) < kFactor * row.outer);
    check_near(compatible, row.compatible);
    CHECK(quantile(outer, 0.5) <= 5e-3);
    CHECK(compatible >= 1e-2);
  }
}

TEST_CASE("refinement errors follow the table") {
  struct Row {
    AdjointStart start;
    int steps;
    double error;
  };
  const std::vector<Row> table{
      {AdjointStart::zero, 1, 0.51},      {AdjointStart::zero, 2, 0.28},        {AdjointStart::zero, 5, 0.048},
      {AdjointStart::zero, 10, 3.7e-4},   {AdjointStart::identity, 1, 0.28},    {AdjointStart::identity, 2, 0.19},
      {AdjointStart::identity, 5, 0.015}, {AdjointStart::identity, 10, 1.1e-4}, {AdjointStart::shared, 1, 0.11},
      {AdjointStart::shared, 2, 0.033},   {AdjointStart::shared, 5, 3.9e-4},    {AdjointStart::shared, 10, 2.2e-7}};
  for (const Row& row : table) {
    CAPTURE(static_cast<int>(row.start));
    CAPTURE(row.steps);
    check_near(refined_error(0.9, row.start, row.steps), row.error);
  }
}

TEST_CASE("refinement from a shared estimate is built on the transposed inverse") {
  ToyAdjoint toy(0.9, 3);
  const TransposedEstimate transpose = transposed(toy.forward.loop.estimate());
  const Vector by_hand = toy.refined_by_hand(toy.adjoint(SharedInverse{}), transpose, 5);
  CHECK(toy.adjoint(Refined{.start = AdjointStart::shared, .steps = 5}) == by_hand);
}

TEST_CASE("refining with the inverse instead of its transpose is far worse") {
  check_near(untransposed_error(0.9, 1), 0.14);
  check_near(untransposed_error(0.9, 2), 0.12);
  check_near(untransposed_error(0.9, 5), 0.12);
  check_near(untransposed_error(0.9, 10), 3.6e-3);
  for (const double scale : {0.9, 1.5})
    CHECK(untransposed_error(scale, 5) > 10.0 * refined_error(scale, AdjointStart::shared, 5));
}

TEST_CASE("refinement also works where the map is no contraction") {
  check_near(refined_error(1.5, AdjointStart::zero, 5), 0.27);
  check_near(refined_error(1.5, AdjointStart::identity, 5), 0.17);
  check_near(refined_error(1.5, AdjointStart::shared, 5), 6.8e-3);
  check_near(untransposed_error(1.5, 5), 0.29);
}

TEST_CASE("five steps from a shared estimate beat five from w and from zero at least fivefold") {
  for (const double scale : {0.9, 1.5}) {
    CAPTURE(scale);
    const double shared = refined_error(scale, AdjointStart::shared, 5);
    CHECK(refined_error(scale, AdjointStart::identity, 5) > 5.0 * shared);
    CHECK(refined_error(scale, AdjointStart::zero, 5) > 5.0 * shared);
  }
}

}  // namespace deq::test
