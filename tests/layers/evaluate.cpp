#include "evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/reference/backend.h"

namespace deq::layers_tests {
namespace {

class TracedPolicy final : public EquilibriumPolicy {
 public:
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec&, StateOps&) const override { return {}; }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec&, StateOps&) const override { return {}; }
  [[nodiscard]] bool needs_vjp() const override { return true; }
  [[nodiscard]] std::string describe() const override { return "traced"; }
};

}  // namespace

std::vector<std::vector<double>> evaluate_all(std::span<const Value> outputs, const Bindings& bindings) {
  ReferenceBackend backend;
  std::vector<std::vector<double>> elements;
  for (const Tensor& tensor : interpret(*outputs[0].graph, outputs, bindings, backend)) {
    const std::span<const double> data = tensor.data<double>();
    elements.emplace_back(data.begin(), data.end());
  }
  return elements;
}

std::vector<double> evaluate(Value output, const Bindings& bindings) {
  return evaluate_all(std::span(&output, 1), bindings).front();
}

Tensor wave(Shape shape, double phase) {
  Tensor out(DType::f32, shape);
  double angle = phase;
  for (float& element : out.data<float>()) {
    element = static_cast<float>(std::sin(angle));
    angle += 1.7;  // no multiple of it is close to a period for small multiples
  }
  return out;
}

double max_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

std::shared_ptr<const EquilibriumPolicy> traced_policy() { return std::make_shared<TracedPolicy>(); }

}  // namespace deq::layers_tests
