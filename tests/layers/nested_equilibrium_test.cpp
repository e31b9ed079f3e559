#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/jvp.h"
#include "core/composed.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"
#include "layers/equilibrium.h"
#include "solvers/names.h"
#include "solvers/policy.h"
#include "tests/op_cases/emulated_cuda.h"

using namespace deq;
using namespace deq::layers_tests;

// An equilibrium whose f solves another one, against the two iterated together, which have the same fixed point.

namespace {

using Values = std::vector<Value>;
using Policy = std::shared_ptr<const EquilibriumPolicy>;
constexpr int kBatch = 4, kWidth = 5;
constexpr SolverOptions kTight{.max_steps = 80, .tolerance = {1e-13, NormMode::absolute}, .patience = 0};

Policy tight(AdjointOptions adjoint = FullAdjoint{.solver = kTight}, Compaction compaction = Compaction::off) {
  return std::make_shared<ImplicitPolicy>(kTight, adjoint, compaction);
}

struct Options {
  Policy outer = tight(), inner = tight();
  Mode mode = Mode::training;
  EquilibriumOutput output = EquilibriumOutput::by_mode;
  int batch = kBatch;
  bool starts_at_outer = false;  ///< the inner solve starts at the outer state
};

/// z = tanh(0.6 z A + 0.5 y + x) with y = tanh(0.5 y B + z C); A, B, C far from symmetric.
struct Nested {
  explicit Nested(const Options& chosen, bool is_joint = false) : options(chosen), graph(chosen.mode) {
    x = graph.input("x", {DType::f32, {options.batch, kWidth}}, Rate::batch);
    a = weight("a", 0.9), b = weight("b", 1.7), c = weight("c", 2.6);
    z = is_joint ? joint() : nested();
    t = constant(graph, wave(x.shape(), 1.1)), v = constant(graph, wave(x.shape(), 2.3));
    ta = constant(graph, wave({kWidth, kWidth}, 0.7)), tc = constant(graph, wave({kWidth, kWidth}, 0.2));
  }
  Value weight(const std::string& name, double phase) {
    Tensor scaled = wave({kWidth, kWidth}, phase);
    for (float& value : scaled.data<float>()) value *= 0.4F;
    return graph.parameter(name, std::make_shared<Tensor>(scaled));
  }
  [[nodiscard]] Value outer_f(Value state, Value y) const { return deq::tanh(matmul(state, a) * 0.6 + y * 0.5 + x); }
  [[nodiscard]] Value inner_f(Value y, Value injected) const { return deq::tanh(matmul(y, b) * 0.5 + injected); }
  Value nested() {
    const auto f = [this](Value state, Value) {
      const auto g = [this](Value y, Value injected) { return inner_f(y, injected); };
      const EquilibriumOptions how{.policy = options.inner, .output = options.output, .name = "inner"};
      const Value injected = matmul(state, c);
      const Value y = options.starts_at_outer ? equilibrium(g, injected, state, how) : equilibrium(g, injected, how);
      return outer_f(state, y);
    };
    return equilibrium(f, x, {.policy = options.outer, .output = options.output, .name = "outer"});
  }
  Value joint() {
    const StateFunction f = [this](std::span<const Value> s) {
      return Values{outer_f(s[0], s[1]), inner_f(s[1], matmul(s[0], c))};
    };
    return unrolled(f, {zeros_like(x), zeros_like(x)}, 160)[0];
  }
  [[nodiscard]] Value loss() const { return sum(square(z) * v); }
  /// z, its gradients, a product with the Hessian, and a tangent.
  [[nodiscard]] Values everything() const {
    const Values wrt{x, a, b, c};
    Values out{z};
    for (const Value& gradient : gradients(loss(), wrt)) out.push_back(gradient);
    const Values first = gradients(loss(), wrt, {.differentiable = true});
    for (const Value& second : gradients(sum(first[0] * t) + sum(first[1] * ta) + sum(first[3] * tc), wrt))
      out.push_back(second);
    out.push_back(jvp({z}, {x, a, c}, {t, ta, tc})[0]);
    return out;
  }
  [[nodiscard]] Values first_order() const {
    Values out{z};
    for (const Value& gradient : gradients(loss(), {x, a, b, c})) out.push_back(gradient);
    return out;
  }
  std::vector<std::vector<double>> run(const Values& outputs, Backend& backend) {
    return run(outputs, backend, images());
  }
  std::vector<std::vector<double>> run(const Values& outputs, Backend& backend, const Tensor& at) {
    program = std::make_unique<Program>(Program::compile(graph, outputs, backend));
    program->bind(x, at);
    program->run();
    program->run();  // what one run leaves behind does not reach the next
    std::vector<std::vector<double>> out;
    for (const Value& output : outputs) {
      Tensor values(DType::f64, output.shape());
      program->read(output, values);
      out.emplace_back(values.data<double>().begin(), values.data<double>().end());
    }
    return out;
  }
  static Tensor images() { return wave({kBatch, kWidth}); }
  static std::vector<std::vector<double>> truth(Values (Nested::*of)() const) {
    const Nested joint({}, true);
    return evaluate_all((joint.*of)(), {{"x", images()}});
  }

  Options options;
  Graph graph;
  Value x, a, b, c, z, t, v, ta, tc;
  std::unique_ptr<Program> program;
};

void check_alike(const std::vector<std::vector<double>>& found, const std::vector<std::vector<double>>& expected,
                 double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(max_difference(found[i], expected[i]) < tolerance);
  }
}

}  // namespace

TEST_CASE("a nested equilibrium and its derivatives are those of both iterated together") {
  const auto expected = Nested::truth(&Nested::everything);
  for (const EquilibriumOutput output : {EquilibriumOutput::applied, EquilibriumOutput::iterate})
    for (const bool starts_at_outer : {false, true}) {
      CAPTURE(starts_at_outer);
      ReferenceBackend backend;
      Nested nested({.output = output, .starts_at_outer = starts_at_outer});
      check_alike(nested.run(nested.everything(), backend), expected, 1e-8);
      const SolveReport* report = nested.program->forward_report();
      REQUIRE(report != nullptr);
      CHECK(report->status.size() == kBatch);  // each sample for itself, inside and outside
      CHECK(report->count(SolveStatus::converged) == kBatch);
    }
}

TEST_CASE("the inner solve runs in the outer loop and what it injects is computed once a replay") {
  ReferenceBackend backend;
  Nested nested({.mode = Mode::inference});
  nested.run({nested.z}, backend);
  const std::string text = nested.program->describe();
  CHECK(text.find("all samples are solved as one") == std::string::npos);
  // In inference the graph holds two solves and no other trace of f: inner first, for it stands in the outer's loop.
  CHECK(nested.program->forward_report(1) != nullptr);
  CHECK(nested.program->forward_report(2) == nullptr);
  CHECK(nested.program->map_launches(0) == 4);  // y B, scale, + injection, tanh
  CHECK(nested.program->map_launches(1) > 4);   // z A, z C, and the rest, with the solve as one
  check_alike(nested.run({nested.z}, backend), {Nested::truth(&Nested::first_order)[0]}, 1e-9);
}

TEST_CASE("every solver and estimator takes a nested equilibrium inside and outside") {
  const auto expected = Nested::truth(&Nested::first_order);
  for (const char* solver : {"picard", "anderson", "broyden", "broyden-lowrank", "adjoint-broyden", "newton-krylov"})
    for (const char* estimator : {"exact", "shine-refine-40", "neumann-60", "unrolled-60", "nystrom-5"}) {
      CAPTURE(solver);
      CAPTURE(estimator);
      CpuBackend backend;
      const SolverOptions how{.method = method_from_name(solver), .max_steps = 60, .tolerance = {1e-6}};
      const Policy policy = policy_from_name(estimator, how);
      Nested nested({.outer = policy, .inner = policy});
      check_alike(nested.run(nested.first_order(), backend), expected, 5e-4);
    }
}

TEST_CASE("a device's loop is cut at the solves inside it") {
  const auto expected = Nested::truth(&Nested::everything);
  for (const char* estimator : {"exact", "shine-refine-40"}) {
    CAPTURE(estimator);
    tests::EmulatedCuda device;
    const Policy policy = policy_from_name(estimator, {.max_steps = 60, .tolerance = {1e-6}});
    Nested nested({.outer = policy, .inner = policy});
    check_alike(nested.run(nested.everything(), device), expected, 2e-3);
  }
}

TEST_CASE("forward solvers that ask for J take it through a nested equilibrium") {
  // J^T v and J v of the outer f solve the inner system with the estimate at the state that f was last evaluated at.
  const auto expected = Nested::truth(&Nested::first_order);
  for (const char* solver : {"adjoint-broyden", "newton-krylov"})
    for (const char* inner : {"picard", "newton-krylov"}) {
      CAPTURE(solver);
      CAPTURE(inner);
      SolverOptions outer_how = kTight, inner_how = kTight;
      outer_how.method = method_from_name(solver), inner_how.method = method_from_name(inner);
      ReferenceBackend backend;
      const AdjointOptions exact = FullAdjoint{.solver = kTight};
      Nested nested({.outer = std::make_shared<ImplicitPolicy>(outer_how, exact),
                     .inner = std::make_shared<ImplicitPolicy>(inner_how, exact)});
      check_alike(nested.run(nested.first_order(), backend), expected, 1e-8);
    }
}

TEST_CASE("samples keep to themselves, compacted or not") {
  ReferenceBackend backend;
  for (const Compaction compaction : {Compaction::off, Compaction::on}) {
    const Policy policy = std::make_shared<ImplicitPolicy>(SolverOptions{.max_steps = 30, .tolerance = {1e-5}},
                                                           SharedInverse{}, compaction);
    Nested all({.outer = policy, .inner = policy});
    const auto together = all.run(all.first_order(), backend);
    Nested one({.outer = policy, .inner = policy, .batch = 1});
    const Tensor images = Nested::images();
    for (std::size_t sample = 0; sample < kBatch; ++sample) {
      Tensor image(DType::f32, {1, kWidth});
      std::copy_n(images.data<float>().begin() + static_cast<std::ptrdiff_t>(sample * kWidth), kWidth,
                  image.data<float>().begin());
      const auto alone = one.run({one.z}, backend, image);
      for (std::size_t i = 0; i < kWidth; ++i) CHECK(alone[0][i] == together[0][sample * kWidth + i]);
    }
  }
}

TEST_CASE("three equilibria within each other have derivatives up to the third") {
  const auto policy = tight();
  const auto derivatives = [](Value z, Value x) {
    const Value slope = gradients(sum(exp(z)), {x}, {.differentiable = true})[0];
    const Value curvature = gradients(sum(square(slope)), {x}, {.differentiable = true})[0];
    return Values{z, slope, curvature, gradients(sum(square(curvature)), {x})[0]};
  };
  const auto trace = [&](Graph& graph, bool is_joint) {
    const Value x = graph.input("x", {DType::f32, {3, 2}}, Rate::batch);
    const auto f = [&](Value a, Value b) { return deq::tanh(a * 0.4 + b * 0.5 + x); };
    const auto g = [](Value b, Value c, Value a) { return deq::tanh(b * 0.3 + c * 0.6 - a * 0.5); };
    const auto h = [](Value c, Value a, Value b) { return deq::tanh(c * 0.2 + a * 0.4 + b * b); };
    if (is_joint) {
      const StateFunction all = [&](std::span<const Value> s) {
        return Values{f(s[0], s[1]), g(s[1], s[2], s[0]), h(s[2], s[0], s[1])};
      };
      const Value z = unrolled(all, {zeros_like(x), zeros_like(x), zeros_like(x)}, 200)[0];
      return derivatives(z, x);
    }
    const Value z = equilibrium(
        [&](Value a, Value) {
          const auto middle = [&](Value b, Value) {
            return g(b, equilibrium([&](Value c, Value) { return h(c, a, b); }, x, {.policy = policy}), a);
          };
          return f(a, equilibrium(middle, x, {.policy = policy}));
        },
        x, {.policy = policy});
    return derivatives(z, x);
  };
  Graph joint(Mode::training), nested(Mode::training);
  const auto expected = evaluate_all(trace(joint, true), {{"x", wave({3, 2})}});
  const Values found = trace(nested, false);
  ReferenceBackend backend;
  Program program = Program::compile(nested, found, backend);
  program.bind("x", wave({3, 2}));
  program.run();
  for (std::size_t i = 0; i < found.size(); ++i) {
    Tensor values(DType::f64, {3, 2});
    program.read(found[i], values);
    CHECK(max_difference({values.data<double>().begin(), values.data<double>().end()}, expected[i]) < 1e-9);
  }
}

TEST_CASE("an inner solve that joins samples makes the outer one do so") {
  ReferenceBackend backend;
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
  const Value z = equilibrium(
      [&](Value state, Value) {
        const auto centred = [&](Value y, Value at) { return deq::tanh((y - mean(y, {0}, true)) * 0.3 + at); };
        return deq::tanh(equilibrium(centred, state * 0.5 + x, {.policy = tight()}));
      },
      x, {.policy = tight()});
  Program program = Program::compile(graph, {z}, backend);
  program.bind(x, Nested::images());
  program.run();
  CHECK(program.forward_report(0)->status.size() == 1);
  CHECK(program.forward_report(1)->status.size() == 1);
  CHECK(program.forward_report(1)->status[0] == SolveStatus::converged);
}

TEST_CASE("what one solve iterates is refused in the f of another that it is no part of") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2, 2}}, Rate::batch);
  Value leaked;
  const auto f = [&](Value z, Value at) { return leaked = deq::tanh(z * 0.5 + at); };
  const Value first = equilibrium(f, x, {.policy = tight(), .output = EquilibriumOutput::iterate});
  const auto g = [&](Value z, Value at) { return deq::tanh(z * 0.5 + at + leaked); };
  const Value second = equilibrium(g, x, {.policy = tight(), .output = EquilibriumOutput::iterate});
  ReferenceBackend backend;
  CHECK_THROWS_WITH_AS(std::ignore = Program::compile(graph, {first, second}, backend),
                       doctest::Contains("what the equilibrium returns"), Error);
}

TEST_CASE("an inner f that changes between the traces is refused") {
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {2, 2}}, Rate::batch);
  int calls = 0;
  const auto f = [&](Value z, Value at) {
    const double factor = calls++ == 0 ? 0.3 : 0.4;
    return equilibrium([&](Value y, Value from) { return deq::tanh(y * factor + from); }, z * 0.5 + at,
                       {.policy = tight()});
  };
  CHECK_THROWS_WITH_AS(std::ignore = equilibrium(f, x, {.policy = tight(), .name = "outer"}),
                       doctest::Contains("f is another function"), Error);
}
