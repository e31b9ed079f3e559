#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/op_cases.h"

using namespace deq;

// The implicit gradient, compiled and solved to rounding, against the gradient through a long unrolled iteration.

namespace {

// Contraction by less than 0.7 a step: 0.7^120 is below 1e-18.
constexpr int kSteps = 120;

class NoEstimate final : public InverseEstimate {
 public:
  void apply(StateView, StateView) const override {}
  void apply_transpose(StateView, StateView) const override {}
  [[nodiscard]] std::span<const int> rank() const override { return {}; }
};

/// z <- f(z), a fixed number of times.
class PlainSolver final : public FixedPointSolver {
 public:
  explicit PlainSolver(std::size_t bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
  [[nodiscard]] std::size_t estimate_bytes() const override { return 0; }
  void bind(void*, void*) override {}
  void solve(FixedPointMap& map, StateView z, SolveReport&) override {
    for (int step = 0; step < kSteps; ++step) {
      std::memcpy(map.input().data, z.data, bytes_);
      map.replay();
      std::memcpy(z.data, map.output().data, bytes_);
    }
  }
  [[nodiscard]] const InverseEstimate& estimate() const override { return estimate_; }

 private:
  std::size_t bytes_;
  NoEstimate estimate_;
};

/// u <- w + J^T u, a fixed number of times; states of doubles.
class PlainAdjoint final : public AdjointSolver {
 public:
  explicit PlainAdjoint(std::size_t elements) : elements_(elements) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return 0; }
  void bind(void*) override {}
  void solve(FixedPointMap& vjp_map, const InverseEstimate&, const SolveReport&, StateView w, StateView u,
             SolveReport&) override {
    std::memcpy(u.data, w.data, elements_ * sizeof(double));
    for (int step = 0; step < kSteps; ++step) {
      std::memcpy(vjp_map.input().data, u.data, elements_ * sizeof(double));
      vjp_map.replay();
      const auto* product = static_cast<const double*>(vjp_map.output().data);
      for (std::size_t i = 0; i < elements_; ++i) {
        static_cast<double*>(u.data)[i] = static_cast<const double*>(w.data)[i] + product[i];
      }
    }
  }

 private:
  std::size_t elements_;
};

class PlainPolicy final : public EquilibriumPolicy {
 public:
  [[nodiscard]] std::unique_ptr<FixedPointSolver> make_solver(const StateSpec& spec, StateOps&) const override {
    return std::make_unique<PlainSolver>(spec.bytes());
  }
  [[nodiscard]] std::unique_ptr<AdjointSolver> make_adjoint(const StateSpec& spec, StateOps&) const override {
    REQUIRE(spec.dtype == DType::f64);
    return std::make_unique<PlainAdjoint>(static_cast<std::size_t>(spec.elements()));
  }
  [[nodiscard]] bool needs_vjp() const override { return true; }
  [[nodiscard]] std::string describe() const override { return "plain"; }
};

using Blocks = std::vector<Value>;

/// Coupled blocks of different widths; the second hands the first's mean through, so J^T v is not diagonal.
struct Model {
  Graph graph{Mode::training};
  Bindings bindings;
  Value a, b, x;

  Model() { a = bound("a", {3, 3}), b = bound("b", {3, 5}), x = bound("x", {2, 3}); }
  Value bound(const std::string& name, Shape shape) {
    const op_cases::CaseInput input{.name = name, .type = {DType::f32, shape}};
    const Tensor wide = op_cases::values_of(input, 3);
    Tensor narrow(input.type);
    std::transform(wide.data<double>().begin(), wide.data<double>().end(), narrow.data<float>().begin(),
                   [](double value) { return static_cast<float>(value); });
    bindings[name] = narrow;
    return graph.input(name, input.type, Rate::batch);
  }
  [[nodiscard]] Blocks f(const Blocks& z) const {
    const Value drive = mean(z[1], {1}, /*keep_dims=*/true) * 0.2;
    return {deq::tanh(matmul(z[0], a) * 0.25 + drive + x), sigmoid(matmul(z[0], b) * 0.5) + z[1] * 0.25};
  }
  [[nodiscard]] Blocks start() { return {constant(graph, 0, {2, 3}), constant(graph, 0, {2, 5})}; }
  [[nodiscard]] static Value loss(const Blocks& z) { return sum(square(z[0])) + sum(exp(z[1])); }
  [[nodiscard]] Blocks variables() const { return {a, b, x}; }
};

std::vector<Tensor> unrolled_gradients() {
  Model model;
  Blocks z = model.start();
  for (int step = 0; step < kSteps; ++step) z = model.f(z);
  ReferenceBackend backend;
  return interpret(model.graph, gradients(Model::loss(z), model.variables()), model.bindings, backend);
}

std::vector<Tensor> implicit_gradients() {
  Model model;
  Graph& graph = model.graph;
  const Blocks states{graph.input("z0", {DType::f32, {2, 3}}, Rate::iterate),
                      graph.input("z1", {DType::f32, {2, 5}}, Rate::iterate)};
  const RegionId region = graph.add_region(states, model.f(states));
  const Blocks z = graph.add(Equilibrium{.region = region, .policy = std::make_shared<PlainPolicy>()}, model.start());
  const Blocks y = model.f(z);
  const Blocks out = graph.add(ImplicitGradient{.equilibrium = z[0].ref.node}, Blocks{y[0], y[1], z[0], z[1]});
  const Blocks grads = gradients(Model::loss(out), model.variables());

  ReferenceBackend backend;
  Program program = Program::compile(graph, grads, backend);
  for (const auto& [name, value] : model.bindings) program.bind(name, value);
  program.run();
  std::vector<Tensor> values;
  for (const Value& grad : grads) values.push_back(program.read(grad));
  return values;
}

}  // namespace

TEST_CASE("the implicit gradient equals the gradient through the converged iteration") {
  const std::vector<Tensor> expected = unrolled_gradients(), found = implicit_gradients();
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    double largest = 0;
    for (const double value : expected[i].data<double>()) largest = std::max(largest, std::abs(value));
    CHECK(largest > 1e-2);
    for (std::size_t j = 0; j < expected[i].data<double>().size(); ++j) {
      // Both are computed in double; reading a program rounds to float32 (6e-8).
      CHECK(std::abs(found[i].data<float>()[j] - expected[i].data<double>()[j]) <= 2e-7 * largest);
    }
  }
}
