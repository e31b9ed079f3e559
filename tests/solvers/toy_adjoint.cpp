#include "tests/solvers/toy_adjoint.h"

#include <algorithm>
#include <map>
#include <memory>

#include "solvers/affine_map.h"
#include "tests/train/threads.h"

namespace deq::test {

ToyAdjoint::ToyAdjoint(double scale, unsigned seed, const SolverOptions& options)
    : spec{.batch = 1, .block_elems = {kSize}, .dtype = DType::f64},
      model(kSize, scale, seed),
      map(spec, {.f = [this](int, const Vector& at) { return model.f(at); },
                 .vjp = [this](int, const Vector& at, const Vector& v) { return model.vjp(at, v); },
                 .jvp = [this](int, const Vector& at, const Vector& v) { return model.jvp(at, v); },
                 .outer_gradient = [this](int, const Vector&) { return w.sample(0); }}),
      forward(spec, options),
      z(spec),
      w(random_state(spec, seed + 1000)) {
  forward.loop.solve(map, z.view(), forward.report);
  exact = model.exact_adjoint(z.sample(0), w.sample(0));
}

SampleMap ToyAdjoint::vjp() const {
  return {spec, [this](int, const Vector& v) { return model.vjp(z.sample(0), v); }, false};
}

Vector ToyAdjoint::adjoint(const AdjointOptions& options) {
  SampleMap linear = vjp();
  Adjoint solver(spec, forward.ops, options);
  const AlignedBytes workspace = allocate_aligned(solver.workspace_bytes() + 64);
  solver.bind(workspace.get());
  const State u(spec);
  solver.solve(linear, forward.loop.estimate(), forward.report, w.view(), u.view(), report);
  method = report.method;
  return u.sample(0);
}

Vector ToyAdjoint::refined_by_hand(const Vector& start, const InverseEstimate& base, int steps) {
  SampleMap linear = vjp();
  const Vector ones{1.0};
  AffineMap system(linear, w.view(), forward.ops, ones);
  BoundLoop loop(spec, {.max_steps = steps, .tolerance = {.value = 0.0}}, EstimateUse::dropped);
  State u(spec);
  u.set(0, start);
  loop.loop.solve_from(system, u.view(), &base, report);
  return u.sample(0);
}

Vector over_toys(double scale, const std::function<double(ToyAdjoint&)>& measure, const SolverOptions& options) {
  const Threads one(1);  // one sample has no work for more
  Vector values;
  for (unsigned seed = 0; seed < kTightToys; ++seed) {
    ToyAdjoint toy(scale, seed, options);
    values.push_back(measure(toy));
  }
  std::sort(values.begin(), values.end());
  return values;
}

double median_over_toys(double scale, const std::function<double(ToyAdjoint&)>& measure) {
  const Threads one(1);
  static std::map<double, std::vector<std::unique_ptr<ToyAdjoint>>> solved;
  std::vector<std::unique_ptr<ToyAdjoint>>& toys = solved[scale];
  for (unsigned seed = 0; toys.size() < kToys; ++seed) toys.push_back(std::make_unique<ToyAdjoint>(scale, seed));
  Vector values;
  for (const std::unique_ptr<ToyAdjoint>& toy : toys) values.push_back(measure(*toy));
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

double quantile(const Vector& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace deq::test
