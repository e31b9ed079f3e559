#include "tests/solvers/dense_problem.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq::test {
namespace {

double sigmoid(double m) { return 1.0 / (1.0 + std::exp(-m)); }

struct Derivatives {
  double value, first, second;  // in the margin
};

Derivatives derivatives(Loss loss, double m, double y) {
  const double s = sigmoid(m);
  switch (loss) {
    case Loss::logistic: {
      const double t = y * m;
      const double value = t > 0.0 ? std::log1p(std::exp(-t)) : std::log1p(std::exp(t)) - t;
      return {value, -y * sigmoid(-t), s * (1.0 - s)};
    }
    case Loss::squared: {
      const double slope = s * (1.0 - s);
      return {0.5 * (y - s) * (y - s), -(y - s) * slope, slope * slope - (y - s) * slope * (1.0 - 2.0 * s)};
    }
  }
  return {};
}

}  // namespace

Numbers normals(std::int64_t count, std::uint64_t seed) {
  Numbers values(count);
  for (std::int64_t i = 0; i < count; ++i) values[i] = normal({.seed = seed, .counter = 0, .site = 0}, i);
  return values;
}

Rows random_rows(int count, int columns, double decay, std::uint64_t seed, std::uint64_t plane_seed, double noise) {
  Rows rows{.x = normals(static_cast<std::int64_t>(count) * columns, seed), .y = {}, .columns = columns};
  const Numbers plane = normals(columns, plane_seed), flips = normals(count, seed + 1000003);
  for (int i = 0; i < count; ++i) {
    double margin = 0.0;
    for (int j = 0; j < columns; ++j) {
      double& value = rows.x[static_cast<std::size_t>(i) * columns + j];
      value *= std::pow(10.0, -decay * j);
      margin += value * plane[j];
    }
    rows.y.push_back(margin + noise * flips[i] > 0.0 ? 1.0 : -1.0);
  }
  return rows;
}

double DenseProblem::penalty(ConstVector lambda, std::size_t i) const {
  return std::exp(lambda[is_per_feature_ ? i : 0]);
}

double DenseProblem::loss(const Rows& rows, ConstVector w, Vector gradient) const {
  const double share = is_mean_ ? 1.0 / rows.count() : 1.0;
  std::fill(gradient.begin(), gradient.end(), 0.0);
  double total = 0.0;
  for (int i = 0; i < rows.count(); ++i) {
    const Derivatives at = derivatives(loss_, dot(rows.row(i), w), rows.y[i]);
    total += share * at.value;
    add_scaled(share * at.first, rows.row(i), gradient);
  }
  return total;
}

double DenseProblem::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  double total = loss(train_, w, gradient);
  for (std::size_t i = 0; i < w.size(); ++i) {
    total += 0.5 * penalty(lambda, i) * w[i] * w[i];
    gradient[i] += penalty(lambda, i) * w[i];
  }
  return total;
}

void DenseProblem::hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) {
  const double share = is_mean_ ? 1.0 / train_.count() : 1.0;
  for (std::size_t i = 0; i < w.size(); ++i) out[i] = penalty(lambda, i) * v[i];
  for (int i = 0; i < train_.count(); ++i) {
    const ConstVector row = train_.row(i);
    add_scaled(share * derivatives(loss_, dot(row, w), train_.y[i]).second * dot(row, v), row, out);
  }
}

void DenseProblem::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  std::fill(out.begin(), out.end(), 0.0);
  for (std::size_t i = 0; i < w.size(); ++i) out[is_per_feature_ ? i : 0] += penalty(lambda, i) * w[i] * q[i];
}

double DenseProblem::outer(ConstVector w, ConstVector /*lambda*/, Vector gradient_w, Vector gradient_lambda) {
  std::fill(gradient_lambda.begin(), gradient_lambda.end(), 0.0);
  return loss(validation_, w, gradient_w);
}

bool DenseProblem::known_diagonal(ConstVector lambda, Vector out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = penalty(lambda, i);
  return true;
}

double QuadraticProblem::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  const Numbers a_w = times(a_, w), c_lambda = times(c_, lambda);
  double total = 0.0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    gradient[i] = a_w[i] - b_[i] - c_lambda[i];
    total += w[i] * (0.5 * a_w[i] - b_[i] - c_lambda[i]);
  }
  return total;
}

void QuadraticProblem::hessian_product(ConstVector /*w*/, ConstVector /*lambda*/, ConstVector v, Vector out) {
  copy(times(a_, v), out);
}

void QuadraticProblem::cross_product(ConstVector /*w*/, ConstVector /*lambda*/, ConstVector q, Vector out) {
  std::fill(out.begin(), out.end(), 0.0);
  for (std::size_t i = 0; i < q.size(); ++i)
    for (std::size_t j = 0; j < out.size(); ++j) out[j] -= c_[i * out.size() + j] * q[i];
}

double QuadraticProblem::outer(ConstVector w, ConstVector /*lambda*/, Vector gradient_w, Vector gradient_lambda) {
  std::fill(gradient_lambda.begin(), gradient_lambda.end(), 0.0);
  combine(w, -1.0, target_, gradient_w);
  return 0.5 * dot(gradient_w, gradient_w);
}

bool QuadraticProblem::known_diagonal(ConstVector /*lambda*/, Vector out) {
  std::fill(out.begin(), out.end(), known_);
  return known_ > 0.0;
}

Numbers symmetric_matrix(const Numbers& eigenvalues, std::uint64_t seed) {
  const std::size_t n = eigenvalues.size();
  std::vector<Numbers> q;
  for (std::size_t k = 0; k < n; ++k) {
    Numbers v = normals(static_cast<std::int64_t>(n), seed * 1009 + k);
    for (int pass = 0; pass < 2; ++pass)
      for (const Numbers& other : q) add_scaled(-dot(other, v), other, v);
    scale(1.0 / norm(v), v);
    q.push_back(std::move(v));
  }
  Numbers a(n * n, 0.0);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) a[i * n + j] += eigenvalues[k] * q[k][i] * q[k][j];
  return a;
}

Numbers times(const Numbers& a, ConstVector x) {
  const std::size_t rows = a.size() / x.size();
  Numbers out(rows);
  for (std::size_t i = 0; i < rows; ++i) out[i] = dot(ConstVector(a.data() + i * x.size(), x.size()), x);
  return out;
}

Numbers solve_dense(Numbers a, Numbers b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::abs(a[i * n + k]) > std::abs(a[pivot * n + k])) pivot = i;
    for (std::size_t j = 0; j < n; ++j) std::swap(a[k * n + j], a[pivot * n + j]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k * n + j] * b[j];
    b[k] /= a[k * n + k];
  }
  return b;
}

Numbers dense_hessian(BilevelProblem& problem, ConstVector w, ConstVector lambda) {
  const std::size_t n = w.size();
  Numbers h(n * n), unit(n, 0.0), column(n);
  for (std::size_t j = 0; j < n; ++j) {
    unit[j] = 1.0;
    problem.hessian_product(w, lambda, unit, column);
    unit[j] = 0.0;
    for (std::size_t i = 0; i < n; ++i) h[i * n + j] = column[i];
  }
  return h;
}

double median(Numbers values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

}  // namespace deq::test
