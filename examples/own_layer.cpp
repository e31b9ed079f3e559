// A layer of your own, from f(z, x) to a trained model: residual cells around a matrix, solved to their fixed point,
// differentiated through it, trained on random data, with a report of every solve.
#include <cstdio>
#include <memory>
#include <random>
#include <vector>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/wait_policy.h"
#include "layers/equilibrium.h"
#include "layers/linear.h"
#include "solvers/policy.h"

namespace {

using namespace deq;

constexpr int kBatch = 64;
constexpr int kInputs = 8;
constexpr int kWidth = 32;
constexpr int kClasses = 4;

/// f(z, x) = tanh(W z + U x): any struct with this call operator becomes a layer.
struct Cell {
  explicit Cell(const ParamScope& scope)
      : inner(scope / "inner", kWidth, kWidth), outer(scope / "outer", kWidth, kWidth) {}
  Value operator()(Value z, Value x) const { return deq::tanh(inner(z) * 0.5 + outer(x)); }
  layers::Linear inner, outer;
};

/// Points in [-1, 1]^8; two bits make the class, one of them not linear in the point.
void draw_batch(std::mt19937& rng, Tensor& x, Tensor& labels) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (std::size_t b = 0; b < kBatch; ++b) {
    const auto row = x.data<float>().subspan(b * kInputs, kInputs);
    for (float& value : row) value = uniform(rng);
    labels.data<std::int32_t>()[b] = (row[0] * row[2] > 0 ? 1 : 0) + (row[1] + row[3] > 0 ? 2 : 0);
  }
}

void print_report(const char* what, const SolveReport& report) {
  std::printf("  %-9s%4.1f steps, residual %.1e, %d of %d samples converged\n", what, report.mean_steps(),
              report.mean_residual(), report.count(SolveStatus::converged), kBatch);
}

}  // namespace

int main(int, char** argv) {
  limit_spinning(argv);  // other work on the machine would otherwise stall the threads
  ParameterStore store(/*seed=*/1);
  const ParamScope scope(store);
  const layers::Linear stem(scope / "stem", kInputs, kWidth), head(scope / "head", kWidth, kClasses);

  // Solve with Broyden's method; the backward pass shares its inverse (SHINE) and refines it by three steps.
  const auto policy = std::make_shared<ImplicitPolicy>(
      SolverOptions{.method = Broyden{}, .max_steps = 20, .tolerance = {.value = 1e-4}}, Refined{.steps = 3});
  const layers::Equilibrium layer(Cell(scope / "cell"), {.policy = policy});

  // Trace one whole training step: forward, loss, gradients, and plain gradient descent as assignments.
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {kBatch, kInputs}}, Rate::batch);
  const Value label = graph.input("label", {DType::i32, {kBatch}}, Rate::batch);
  const Value loss = mean(softmax_cross_entropy(head(layer(stem(x))), label).loss);
  std::vector<Value> weights;
  for (const ParameterEntry& entry : store.entries()) weights.push_back(graph.parameter(entry.name, entry.value));
  const std::vector<Value> gradient = gradients(loss, weights);
  for (std::size_t i = 0; i < weights.size(); ++i) graph.assign(weights[i], weights[i] - gradient[i] * 0.3);

  CpuBackend backend;
  Program step = Program::compile(graph, std::vector<Value>{loss}, backend);
  std::printf("%lld parameters, %zu bytes for a step\n", static_cast<long long>(store.trainable_elements()),
              step.peak_bytes());

  std::mt19937 rng(7);
  Tensor points(x.type()), labels(label.type());
  float first = 0, last = 0;
  for (int i = 0; i < 600; ++i) {
    draw_batch(rng, points, labels);
    step.bind(x, points);
    step.bind(label, labels);
    step.run();
    last = step.read(loss).data<float>()[0];
    if (i == 0) first = last;
    if (i % 200 != 0 && i != 599) continue;
    std::printf("step %d: loss %.4f\n", i, last);
    print_report("forward", *step.forward_report());
    print_report("backward", *step.backward_report());
  }
  return last < 0.5F * first ? 0 : 1;
}
