#include "layers/solve_gmres.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/jvp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "evaluate.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

using Values = std::vector<Value>;
constexpr int kBatch = 3, kSize = 5;

/// x A^T = b row by row, A = 2 I + a small dense matrix that is far from symmetric.
struct System {
  System() : matrix(std::make_shared<Tensor>(wave({kSize, kSize}, 0.8))) {
    for (float& value : matrix->data<float>()) value *= 0.4F;
    for (int i = 0; i < kSize; ++i) matrix->data<float>()[i * (kSize + 1)] += 2.0F;
    a = graph.parameter("a", matrix);
    b = graph.input("b", {DType::f32, {kBatch, kSize}}, Rate::batch);
  }
  [[nodiscard]] Value applied(Value x) const { return matmul(x, a, false, true); }
  std::vector<std::vector<double>> run(const Values& outputs, Backend& backend) {
    Program program = Program::compile(graph, outputs, backend);
    program.bind(b, wave(b.shape(), 0.1));
    program.run();
    statuses = program.forward_report()->status;
    std::vector<std::vector<double>> out;
    for (const Value& output : outputs) {
      Tensor values(DType::f64, output.shape());
      program.read(output, values);
      out.emplace_back(values.data<double>().begin(), values.data<double>().end());
    }
    return out;
  }

  Graph graph{Mode::training};
  std::shared_ptr<Tensor> matrix;
  Value a, b;
  std::vector<SolveStatus> statuses;
};

}  // namespace

TEST_CASE("x solves the system on both executors") {
  System system;
  const Value x = solve_gmres([&](Value at) { return system.applied(at); }, system.b, {.tolerance = 1e-6});
  ReferenceBackend reference;
  CpuBackend cpu;
  for (Backend* backend : std::initializer_list<Backend*>{&reference, &cpu}) {
    const auto found = system.run({system.applied(x) - system.b, x}, *backend);
    for (const double residual : found[0]) CHECK(std::abs(residual) < 1e-5);
    for (const SolveStatus status : system.statuses) CHECK(status == SolveStatus::converged);
  }
}

TEST_CASE("its gradients and second derivatives are those of the inverse") {
  // L = sum c x with x = A^-1 b: u = A^-T c, dL/db = u, dL/dA = -sum u x^T; the tangent along A -> A + D is
  // -A^-1 D x, and dL/db moves by -A^-T D^T u.
  System system;
  const GmresOptions tight{.tolerance = 1e-13};
  const auto apply = [&](Value at) { return system.applied(at); };
  const auto turned = [&](Value at) { return matmul(at, system.a); };
  const Value x = solve_gmres(apply, system.b, tight);
  const Value c = constant(system.graph, wave(system.b.shape(), 2.0));
  const Value d = constant(system.graph, wave({kSize, kSize}, 3.0));
  const Values slopes = gradients(sum(x * c), {system.b, system.a}, {.differentiable = true});
  const Value tangent = jvp({x}, {system.a}, {d})[0];
  const Value moved = jvp({slopes[0]}, {system.a}, {d})[0];
  const Value u = solve_gmres(turned, c, tight);
  const Values expected{u, -matmul(u, x, true, false), -solve_gmres(apply, matmul(x, d, false, true), tight),
                        -solve_gmres(turned, matmul(u, d), tight)};
  Values outputs{slopes[0], slopes[1], tangent, moved};
  outputs.insert(outputs.end(), expected.begin(), expected.end());
  ReferenceBackend reference;
  const auto found = system.run(outputs, reference);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(max_difference(found[i], found[i + expected.size()]) < 1e-10);
  }
}

TEST_CASE("a singular system is a status and the training goes on") {
  System system;
  for (float& value : system.matrix->data<float>()) value = 0;
  const Value x = solve_gmres([&](Value at) { return system.applied(at); }, system.b);
  CpuBackend cpu;
  const auto found = system.run({x, gradients(sum(x), {system.b})[0]}, cpu);
  for (const SolveStatus status : system.statuses) CHECK(status != SolveStatus::converged);
  for (const auto& values : found)
    for (const double value : values) CHECK(std::isfinite(value));
}

TEST_CASE("options that solve nothing are refused") {
  System system;
  const auto apply = [&](Value at) { return system.applied(at); };
  CHECK_THROWS_WITH_AS((void)solve_gmres(apply, system.b, {.restart = 0}),
                       doctest::Contains("restart 0 and max_cycles 10; both must be 1 or more"), Error);
  CHECK_THROWS_AS((void)solve_gmres(apply, Value{}), Error);
}
