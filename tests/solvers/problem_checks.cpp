#include "tests/solvers/problem_checks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <span>

namespace deq::testing {
namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

std::vector<double> moved(const std::vector<double>& from, double step, const std::vector<double>& along) {
  std::vector<double> out = from;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += step * along[i];
  return out;
}

double relative(double found, double expected, double scale) {
  return std::abs(found - expected) / std::max({std::abs(expected), scale, 1e-300});
}

}  // namespace

std::vector<double> random_normals(std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> out(count);
  for (double& value : out) value = normal(random);
  return out;
}

Samples random_samples(std::int64_t rows, std::int64_t columns, int classes, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> dense(rows * columns);
  for (double& value : dense) value = random() % 3 == 0 ? normal(random) : 0;
  std::vector<double> labels(rows);
  for (double& label : labels)
    label = classes > 0 ? static_cast<double>(random() % static_cast<unsigned>(classes)) : random() % 2 == 0 ? -1 : 1;
  return {SparseMatrix::from_dense(rows, columns, dense), labels};
}

ProductErrors check_products(BilevelProblem& problem, std::vector<double> w, std::vector<double> lambda, double step,
                             std::uint32_t seed) {
  const auto d = problem.inner_size();
  const auto p = problem.outer_size();
  const auto v = random_normals(d, seed + 1);
  const auto q = random_normals(d, seed + 2);
  const auto u = random_normals(p, seed + 3);
  std::vector<double> gradient(d), ahead(d), behind(d), hv(d), hq(d), cross(p), outer_w(d), outer_lambda(p), unused(p);
  ProductErrors errors;

  const auto inner = [&](const std::vector<double>& at_w, const std::vector<double>& at_lambda,
                         std::vector<double>& out) { return problem.inner(at_w, at_lambda, out); };
  problem.inner(w, lambda, gradient);
  problem.hessian_product(w, lambda, v, hv);
  problem.hessian_product(w, lambda, q, hq);
  problem.cross_product(w, lambda, q, cross);
  problem.outer(w, lambda, outer_w, outer_lambda);

  const double up = inner(moved(w, step, v), lambda, ahead);
  const double down = inner(moved(w, -step, v), lambda, behind);
  errors.gradient = relative(dot(gradient, v), (up - down) / (2 * step), std::sqrt(dot(gradient, gradient)));
  const double hv_norm = std::sqrt(dot(hv, hv));
  for (std::int64_t j = 0; j < d; ++j)
    errors.hessian = std::max(errors.hessian, relative(hv[j], (ahead[j] - behind[j]) / (2 * step), hv_norm));
  errors.asymmetry = relative(dot(q, hv), dot(v, hq), hv_norm);

  inner(w, moved(lambda, step, u), ahead);
  inner(w, moved(lambda, -step, u), behind);
  errors.cross = relative(dot(cross, u), (dot(ahead, q) - dot(behind, q)) / (2 * step), std::sqrt(dot(cross, cross)));

  const auto outer = [&](const std::vector<double>& at_w, const std::vector<double>& at_lambda) {
    return problem.outer(at_w, at_lambda, ahead, unused);
  };
  const double outer_slope = (outer(moved(w, step, v), lambda) - outer(moved(w, -step, v), lambda)) / (2 * step);
  errors.outer_w = relative(dot(outer_w, v), outer_slope, std::sqrt(dot(outer_w, outer_w)));
  const double lambda_slope = (outer(w, moved(lambda, step, u)) - outer(w, moved(lambda, -step, u))) / (2 * step);
  errors.outer_lambda = relative(dot(outer_lambda, u), lambda_slope, 1);
  return errors;
}

}  // namespace deq::testing
