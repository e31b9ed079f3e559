#include "tests/solvers/toy_maps.h"

#include <cmath>

namespace deq::test {
namespace {

/// Calls visit(element index in the state, position in the sample).
template <class Visit>
void each_element(const StateSpec& spec, int b, const Visit& visit) {
  std::int64_t start = 0;
  std::int64_t position = 0;
  for (const std::int64_t elems : spec.block_elems) {
    for (std::int64_t i = 0; i < elems; ++i) visit(start + b * elems + i, position++);
    start += spec.batch * elems;
  }
}

}  // namespace

Vector Matrix::times(const Vector& x) const {
  Vector y(rows, 0.0);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) y[i] += at(i, j) * x[j];
  return y;
}

Vector Matrix::transposed_times(const Vector& x) const {
  Vector y(cols, 0.0);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) y[j] += at(i, j) * x[i];
  return y;
}

Matrix random_matrix(int n, double scale, std::mt19937_64& rng) {
  std::normal_distribution<double> normal(0.0, scale / std::sqrt(n));
  Matrix out(n, n);
  for (double& value : out.data) value = normal(rng);
  return out;
}

Vector random_vector(int n, std::mt19937_64& rng) {
  std::normal_distribution<double> normal;
  Vector out(n);
  for (double& value : out) value = normal(rng);
  return out;
}

Vector solve_dense(Matrix a, Vector b) {
  const int n = a.rows;
  for (int k = 0; k < n; ++k) {
    int pivot = k;
    for (int i = k + 1; i < n; ++i)
      if (std::abs(a.at(i, k)) > std::abs(a.at(pivot, k))) pivot = i;
    for (int j = 0; j < n; ++j) std::swap(a.at(k, j), a.at(pivot, j));
    std::swap(b[k], b[pivot]);
    for (int i = k + 1; i < n; ++i) {
      const double factor = a.at(i, k) / a.at(k, k);
      for (int j = k; j < n; ++j) a.at(i, j) -= factor * a.at(k, j);
      b[i] -= factor * b[k];
    }
  }
  for (int i = n - 1; i >= 0; --i) {
    for (int j = i + 1; j < n; ++j) b[i] -= a.at(i, j) * b[j];
    b[i] /= a.at(i, i);
  }
  return b;
}

double dot(const Vector& x, const Vector& y) {
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

double norm(const Vector& x) { return std::sqrt(dot(x, x)); }

double distance(const Vector& x, const Vector& y) {
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return std::sqrt(sum);
}

Vector State::sample(int b) const {
  Vector out(spec.sample_elems());
  each_element(spec, b, [&](std::int64_t at, std::int64_t i) {
    out[i] = spec.dtype == DType::f64 ? reinterpret_cast<const double*>(memory.get())[at]
                                      : static_cast<double>(reinterpret_cast<const float*>(memory.get())[at]);
  });
  return out;
}

void State::set(int b, const Vector& values) {
  each_element(spec, b, [&](std::int64_t at, std::int64_t i) {
    if (spec.dtype == DType::f64)
      reinterpret_cast<double*>(memory.get())[at] = values[i];
    else
      reinterpret_cast<float*>(memory.get())[at] = static_cast<float>(values[i]);
  });
}

State random_state(const StateSpec& spec, unsigned seed) {
  std::mt19937_64 rng(seed);
  State out(spec);
  for (int b = 0; b < spec.batch; ++b) out.set(b, random_vector(static_cast<int>(spec.sample_elems()), rng));
  return out;
}

void SampleMap::replay() {
  if (records_) queries.emplace_back();
  for (int b = 0; b < in.spec.batch; ++b) {
    const Vector z = in.sample(b);
    out.set(b, function_(b, z));
    if (records_) queries.back().push_back(z);
  }
}

ModelMap::ModelMap(const StateSpec& layout, Functions functions)
    : functions_(std::move(functions)),
      f_(layout, functions_.f),
      pullback_(
          layout, [this](int b, const Vector& v) { return functions_.vjp(b, f_.in.sample(b), v); }, false),
      pushforward_(
          layout, [this](int b, const Vector& v) { return functions_.jvp(b, f_.in.sample(b), v); }, false),
      outer_gradient_(
          layout, [this](int b, const Vector&) { return functions_.outer_gradient(b, f_.in.sample(b)); }, false) {}

BoundLoop::BoundLoop(const StateSpec& spec, const SolverOptions& options, EstimateUse use)
    : loop(spec, ops, options, use),
      workspace(allocate_aligned(loop.workspace_bytes() + 64)),
      estimate(allocate_aligned(loop.estimate_bytes() + 64)) {
  loop.bind(workspace.get(), estimate.get());
}

TanhModel::TanhModel(int n, double scale, unsigned seed) : w(n, n) {
  std::mt19937_64 rng(seed);
  w = random_matrix(n, scale, rng);
  b = random_vector(n, rng);
}

Vector TanhModel::f(const Vector& z) const {
  Vector y = w.times(z);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::tanh(y[i] + b[i]);
  return y;
}

Vector TanhModel::vjp(const Vector& z, const Vector& v) const {
  const Vector y = f(z);
  Vector scaled = v;
  for (std::size_t i = 0; i < y.size(); ++i) scaled[i] *= 1.0 - y[i] * y[i];
  return w.transposed_times(scaled);
}

Vector TanhModel::jvp(const Vector& z, const Vector& v) const {
  const Vector y = f(z);
  Vector product = w.times(v);
  for (std::size_t i = 0; i < y.size(); ++i) product[i] *= 1.0 - y[i] * y[i];
  return product;
}

Vector TanhModel::exact_adjoint(const Vector& z, const Vector& cotangent) const {
  const Vector y = f(z);
  Matrix a(w.rows, w.rows);  // I - J^T
  for (int i = 0; i < w.rows; ++i)
    for (int j = 0; j < w.rows; ++j) a.at(i, j) = (i == j ? 1.0 : 0.0) - w.at(j, i) * (1.0 - y[j] * y[j]);
  return solve_dense(a, cotangent);
}

}  // namespace deq::test
