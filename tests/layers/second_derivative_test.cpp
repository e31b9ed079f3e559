#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/jvp.h"
#include "autodiff/recompute.h"
#include "core/composed.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/equilibrium.h"
#include "solvers/names.h"
#include "solvers/policy.h"

using namespace deq;
using namespace deq::layers_tests;

// jvp and derivatives of gradients through equilibria, under the policies that people use.

namespace {

using Values = std::vector<Value>;
constexpr int kBatch = 4, kWidth = 6;
constexpr SolverOptions kTight{.max_steps = 80, .tolerance = {1e-13, NormMode::absolute}, .patience = 0};

/// z = tanh(0.8 z W + x), W far from symmetric.
struct Layer {
  explicit Layer(std::shared_ptr<const EquilibriumPolicy> chosen, Mode mode = Mode::training) : graph(mode) {
    x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
    w = graph.parameter("w", weights);
    const StateFunction f = [this](std::span<const Value> state) {
      return Values{deq::tanh(matmul(state[0], w) * 0.8 + x)};
    };
    z = (chosen ? equilibrium(f, {zeros_like(x)}, {.policy = chosen}) : unrolled(f, {zeros_like(x)}, 120))[0];
    t = constant_like(x, 1.1), c = constant_like(x, 2.3), tw = constant_like(w, 0.7);
  }
  Value constant_like(Value like, double phase) {
    return graph.parameter(concat("c", phase), std::make_shared<Tensor>(wave(like.shape(), phase)));
  }
  [[nodiscard]] Value loss() const { return sum(square(z) * c); }
  /// Hessian times (t, tw), and the tangent of z.
  [[nodiscard]] Values products() const {
    const Values wrt{x, w};
    const Values first = gradients(loss(), wrt, {.differentiable = true});
    Values out = gradients(sum(first[0] * t) + sum(first[1] * tw), wrt);
    out.push_back(jvp({z}, {x, w}, {t, tw})[0]);
    return out;
  }
  std::vector<std::vector<double>> run(const Values& outputs, Backend& backend) {
    program = std::make_unique<Program>(Program::compile(graph, outputs, backend));
    program->bind(x, wave(x.shape()));
    program->run();
    std::vector<std::vector<double>> out;
    for (const Value& output : outputs) {
      Tensor values(DType::f64, output.shape());
      program->read(output, values);
      out.emplace_back(values.data<double>().begin(), values.data<double>().end());
    }
    return out;
  }

  Graph graph;
  std::shared_ptr<Tensor> weights = [] {
    Tensor scaled = wave({kWidth, kWidth}, 0.9);
    for (float& value : scaled.data<float>()) value *= 0.4F;
    return std::make_shared<Tensor>(scaled);
  }();
  Value x, w, z, t, c, tw;
  std::unique_ptr<Program> program;
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

}  // namespace

TEST_CASE("every way to solve exactly gives the second derivatives of the unrolled layer") {
  Layer truth(nullptr);
  const auto expected = evaluate_all(truth.products(), {{"x", wave({kBatch, kWidth})}});
  std::vector<AdjointOptions> exact{NeumannSeries{.terms = 80}, NystromColumns{.columns = kWidth}};
  for (const char* method : {"broyden", "broyden-lowrank", "anderson", "picard", "gmres", "bicgstab"})
    exact.push_back(with_backward_method(FullAdjoint{.solver = kTight}, method));
  for (const AdjointOptions& adjoint : exact)
    for (const Compaction compaction : {Compaction::off, Compaction::on}) {
      CAPTURE(name_of(adjoint));
      ReferenceBackend backend;
      Layer layer(std::make_shared<ImplicitPolicy>(kTight, adjoint, compaction));
      const auto found = layer.run(layer.products(), backend);
      for (std::size_t i = 0; i < found.size(); ++i) CHECK(max_difference(found[i], expected[i]) < 1e-8);
      REQUIRE(layer.program->tangent_report() != nullptr);
      CHECK(layer.program->backward_report()->status.size() == kBatch);
    }
}

TEST_CASE("the default policies do so in float on the processor") {
  Layer truth(nullptr);
  const auto expected = evaluate_all(truth.products(), {{"x", wave({kBatch, kWidth})}});
  for (const char* estimator : {"exact", "shine-refine-30", "jfb-refine-30", "limited-30"}) {
    CAPTURE(estimator);
    CpuBackend backend;
    Layer layer(policy_from_name(estimator, {.max_steps = 40, .tolerance = {.value = 1e-7}}));
    const auto found = layer.run(layer.products(), backend);
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(max_difference(found[i], expected[i]) < 2e-4);
  }
}

TEST_CASE("forward and reverse mode are transposes of each other under every linear estimator") {
  // <v, jvp t> = <vjp v, t> to rounding, however rough the estimate: M where the one takes M^T.
  for (const char* estimator : {"jfb", "shine", "shine-fallback", "gdeq", "adjoint-broyden", "neumann-3"}) {
    CAPTURE(estimator);
    ReferenceBackend backend;
    Layer layer(policy_from_name(estimator, {.max_steps = 4, .tolerance = {.value = 0.0}}));
    const Value pushed = jvp({layer.z}, {layer.x}, {layer.t})[0];
    const Value pulled = vjp({layer.z}, {layer.c}, {layer.x})[0];
    const auto found = layer.run({pushed, pulled}, backend);
    const Tensor t = wave({kBatch, kWidth}, 1.1), c = wave({kBatch, kWidth}, 2.3);
    const auto doubles = [](const Tensor& of) {
      return std::vector<double>(of.data<float>().begin(), of.data<float>().end());
    };
    const double forward = dot(found[0], doubles(c)), reverse = dot(found[1], doubles(t));
    CHECK(std::abs(forward - reverse) < 1e-12 * std::abs(forward));
    CHECK(std::abs(forward) > 0.1);
  }
}

TEST_CASE("a tangent solve with the estimate's transpose in its place would be noticed") {
  // SHINE's M is not symmetric here: M t and M^T t differ.
  ReferenceBackend backend;
  Layer layer(policy_from_name("shine", {.max_steps = 4, .tolerance = {.value = 0.0}}));
  const Value pushed = jvp({layer.z}, {layer.x}, {layer.t})[0];
  const Value pulled = vjp({layer.z}, {layer.t}, {layer.x})[0];
  const auto found = layer.run({pushed, pulled}, backend);
  CHECK(max_difference(found[0], found[1]) > 1e-2);
}

TEST_CASE("a penalty on the slope in the input trains through an equilibrium") {
  // loss + 0.1 |dloss/dx|^2, its gradient in w against differences.
  const auto penalised = [](const Layer& layer) {
    const Value slope = gradients(layer.loss(), {layer.x}, {.differentiable = true})[0];
    return layer.loss() + sum(square(slope)) * 0.1;
  };
  ReferenceBackend backend;
  Layer layer(std::make_shared<ImplicitPolicy>(kTight, FullAdjoint{.solver = kTight}));
  const Value loss = penalised(layer);
  const std::vector<double> slope = layer.run({gradients(loss, {layer.w})[0]}, backend)[0];
  for (const std::size_t at : {0u, 8u, 35u}) {
    float& weight = layer.weights->data<float>()[at];
    const float kept = weight;
    double losses[2] = {};
    float steps[2] = {};
    for (const int side : {0, 1}) {
      weight = kept + (side == 0 ? -1e-3F : 1e-3F);
      steps[side] = weight;
      losses[side] = layer.run({loss}, backend)[0][0];
    }
    weight = kept;
    const double difference = (losses[1] - losses[0]) / (static_cast<double>(steps[1]) - steps[0]);
    CHECK(slope[at] == doctest::Approx(difference).epsilon(1e-4));
  }
}

TEST_CASE("rows that are solved as one system have second derivatives") {
  ReferenceBackend backend;
  std::vector<double> numbers[2];
  for (const bool is_implicit : {false, true}) {
    Graph graph(Mode::training);
    const Value x = graph.input("x", {DType::f32, {3, 2}}, Rate::batch);
    const Value mix = graph.parameter("mix", std::make_shared<Tensor>(wave({3, 3}, 0.4)));
    const auto f = [&](Value z, Value at) { return deq::tanh(matmul(mix, z) * 0.3 + at); };
    const StateFunction states = [&](std::span<const Value> z) { return Values{f(z[0], x)}; };
    const auto policy = std::make_shared<ImplicitPolicy>(kTight, FullAdjoint{.solver = kTight});
    const Value z = is_implicit ? equilibrium(f, x, {.policy = policy}) : unrolled(states, {zeros_like(x)}, 120)[0];
    const Value slope = gradients(sum(exp(z)), {x}, {.differentiable = true})[0];
    const Values curvature = gradients(sum(square(slope)), {x});
    if (!is_implicit) {
      numbers[0] = evaluate(curvature[0], {{"x", wave({3, 2})}});
      continue;
    }
    Program program = Program::compile(graph, curvature, backend);
    program.bind(x, wave({3, 2}));
    program.run();
    CHECK(program.tangent_report()->status.size() == 1);
    Tensor found(DType::f64, {3, 2});
    program.read(curvature[0], found);
    numbers[1] = {found.data<double>().begin(), found.data<double>().end()};
  }
  CHECK(max_difference(numbers[0], numbers[1]) < 1e-9);
}

TEST_CASE("an equilibrium of an inference graph has neither derivative") {
  Layer layer(policy_from_name("exact"), Mode::inference);
  CHECK_THROWS_WITH_AS(jvp({layer.z}, {layer.x}, {layer.t}), doctest::Contains("Graph(Mode::training)"), Error);
}

TEST_CASE("gradients that are to be differentiated are not recomputed") {
  Layer layer(policy_from_name("shine"));
  const Values first = gradients(layer.loss(), {layer.w}, {.differentiable = true});
  CHECK(recomputed(first) == first);
}
