#include "tests/solvers/linear_systems.h"

namespace deq::test {

LinearSystems::LinearSystems(std::vector<Matrix> matrices, unsigned seed)
    : jacobians(std::move(matrices)),
      spec{.batch = static_cast<int>(jacobians.size()), .block_elems = {jacobians[0].rows}, .dtype = DType::f64},
      w(spec) {
  const int n = jacobians[0].rows;
  if (n > 3) spec.block_elems = {n - 2, 2};  // blocks lie apart in memory
  w = State(spec);
  for (int b = 0; b < spec.batch; ++b) {
    std::mt19937_64 rng(seed + static_cast<unsigned>(b));
    w.set(b, random_vector(n, rng));
  }
}

void LinearSystems::solve(const AdjointOptions& options) {
  HostStateOps ops;
  products = 0;
  SampleMap vjp(
      spec,
      [this](int sample, const Vector& v) {
        if (sample == 0) ++products;
        return jacobians[static_cast<std::size_t>(sample)].transposed_times(v);
      },
      false);
  BoundLoop forward(spec, {.method = Picard{}, .max_steps = 1});  // M = I
  forward.report.resize(spec.batch);
  Adjoint adjoint(spec, ops, options);
  const AlignedBytes workspace = allocate_aligned(adjoint.workspace_bytes() + 64);
  adjoint.bind(workspace.get());
  const State out(spec);
  adjoint.solve(vjp, forward.loop.estimate(), forward.report, w.view(), out.view(), report);
  u.clear();
  for (int b = 0; b < spec.batch; ++b) u.push_back(out.sample(b));
}

Vector LinearSystems::exact(int sample) const {
  const Matrix& j = jacobians[static_cast<std::size_t>(sample)];
  Matrix a(j.rows, j.rows);
  for (int r = 0; r < j.rows; ++r)
    for (int c = 0; c < j.rows; ++c) a.at(r, c) = (r == c ? 1.0 : 0.0) - j.at(c, r);
  return solve_dense(a, w.sample(sample));
}

double LinearSystems::error(int sample) const {
  const Vector truth = exact(sample);
  return distance(u[static_cast<std::size_t>(sample)], truth) / norm(truth);
}

AdjointOptions exact_by(const std::string& method, double tolerance, int max_steps) {
  const FullAdjoint full{.solver = {.max_steps = max_steps, .tolerance = {tolerance, NormMode::relative}}};
  return with_backward_method(full, method);
}

Matrix scaled_identity(int n, double scale) {
  Matrix out(n, n);
  for (int i = 0; i < n; ++i) out.at(i, i) = scale;
  return out;
}

}  // namespace deq::test
