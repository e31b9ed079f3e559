#include "layers/spectral_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/composed.h"
#include "core/error.h"

namespace deq::layers {
namespace {

constexpr double kSmallest = 1e-12;  // lengths below count as this

void normalise(std::vector<double>& x) {
  double sum = 0;
  for (const double element : x) sum += element * element;
  const double length = std::max(std::sqrt(sum), kSmallest);
  for (double& element : x) element /= length;
}

/// Left singular vector of the matrix [out, rest] for the largest singular value, from a fixed start.
Tensor leading_vector(const Tensor& weight) {
  constexpr int kSteps = 50;
  const std::span<const float> w = weight.data<float>();
  const auto out = static_cast<std::size_t>(weight.shape()[0]);
  const std::size_t rest = w.size() / out;
  std::vector<double> u(out), v(rest);
  for (std::size_t i = 0; i < out; ++i) u[i] = 1.0 + std::sin(static_cast<double>(i));
  normalise(u);
  for (int step = 0; step < kSteps; ++step) {
    std::ranges::fill(v, 0.0);
    for (std::size_t i = 0; i < out; ++i)
      for (std::size_t j = 0; j < rest; ++j) v[j] += static_cast<double>(w[i * rest + j]) * u[i];
    normalise(v);
    for (std::size_t i = 0; i < out; ++i) {
      u[i] = 0;
      for (std::size_t j = 0; j < rest; ++j) u[i] += static_cast<double>(w[i * rest + j]) * v[j];
    }
    normalise(u);
  }
  Tensor found(DType::f32, {weight.shape()[0]});
  std::ranges::copy(u, found.data<float>().begin());
  return found;
}

Value unit(Value x) { return x / maximum(sqrt(sum(square(x))), constant(*x.graph, kSmallest, {})); }

}  // namespace

SpectralNorm::SpectralNorm(const ParamScope& scope, Shape shape, const init::Initializer& start,
                           SpectralNormOptions chosen)
    : options(chosen) {
  check(shape.rank() >= 2 && shape.elements() > 0, "spectral_norm", "a weight ", shape, " is no matrix [out, rest] (",
        scope.prefix(), ")");
  check(options.bound > 0, "spectral_norm", "the bound is ", options.bound, " but must be above 0 (", scope.prefix(),
        ")");
  weight = Parameter(scope, "weight_orig", shape, start);
  u = Parameter(scope, "weight_u", leading_vector(*weight.tensor()), /*is_trainable=*/false);
}

Value SpectralNorm::operator()(Value like) const {
  const Value w = weight(like);
  Graph& graph = *w.graph;
  const std::int64_t out = w.shape()[0];
  const Value matrix = reshape(w, {out, w.shape().elements() / out}), fixed = detach(matrix);
  const Value left = reshape(u(like), {1, out});
  const Value right = unit(matmul(left, fixed));
  const Value next = unit(matmul(right, fixed, false, true));
  const bool moves = graph.mode() == Mode::training;
  const Value largest = sum(matmul(moves ? next : left, matrix) * right);
  if (moves) {
    const Value target = u(like), moved = reshape(next, {out});
    const bool is_assigned = std::ranges::any_of(
        graph.assignments(), [&](const Assignment& assignment) { return assignment.target == target.ref; });
    if (!is_assigned) graph.assign(target, moved);
  }
  const Value bound = constant(graph, options.bound, {});
  const Value divisor = options.only_above ? maximum(largest, bound) : maximum(largest, constant(graph, kSmallest, {}));
  return w * (bound / divisor);
}

}  // namespace deq::layers
