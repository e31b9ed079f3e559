#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "autodiff/vjp.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "layers/equilibrium.h"
#include "solvers/loop.h"
#include "solvers/policy.h"
#include "tests/op_cases/allocation_counter.h"

using namespace deq;

namespace {

Tensor random_tensor(const Shape& shape, float scale, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Tensor out(DType::f32, shape);
  for (float& value : out.data<float>()) value = scale * normal(generator);
  return out;
}

/// A residual cell in the manner of MDEQ: z = tanh(conv(relu(norm(conv(z) + x))) + x). Large x saturate the tanh, so
/// that their samples converge in fewer steps.
struct ConvCell {
  std::shared_ptr<Tensor> in = std::make_shared<Tensor>(random_tensor({16, 8, 3, 3}, 0.15F, 1));
  std::shared_ptr<Tensor> out = std::make_shared<Tensor>(random_tensor({8, 16, 3, 3}, 0.06F, 2));

  Value operator()(Value z, Value x) const {
    Graph& graph = *z.graph;
    const Value wide = conv2d(z, graph.parameter("in", in), {.pad = 1});
    const Value inner = relu(group_norm(wide + concat({x, x}, 3), 4, 1e-5).y);
    return deq::tanh(conv2d(inner, graph.parameter("out", out), {.pad = 1}) + x);
  }
};

constexpr std::int64_t kSample = 6 * 6 * 8;

/// Images whose scale grows from 0.1 to 6: hard ones, the hardest beyond the step limit, and easy ones, mixed.
Tensor images(int batch) {
  Tensor out = random_tensor({batch, 6, 6, 8}, 1.0F, 3);
  for (int b = 0; b < batch; ++b) {
    const auto scale = static_cast<float>(0.1 * std::pow(60.0, (b * 3 % batch) / std::max(1.0, batch - 1.0)));
    for (float& value : out.data<float>().subspan(static_cast<std::size_t>(b * kSample), kSample)) value *= scale;
  }
  return out;
}

Tensor one_of(const Tensor& all, int sample) {
  Tensor out(DType::f32, {1, 6, 6, 8});
  const auto row = all.data<float>().subspan(static_cast<std::size_t>(sample * kSample), kSample);
  std::copy(row.begin(), row.end(), out.data<float>().begin());
  return out;
}

SolverOptions options(SolverMethod method) {
  return {.method = method, .max_steps = 40, .tolerance = {.value = 1e-4}, .patience = 0};
}

/// The cell solved for one batch size.
struct Solver {
  Solver(Backend& backend, const ConvCell& cell, int batch, const SolverOptions& chosen, Compaction compaction) {
    const Value x = graph.input("x", {DType::f32, {batch, 6, 6, 8}}, Rate::batch);
    const auto policy = std::make_shared<ImplicitPolicy>(chosen, JacobianFree{}, compaction);
    z = equilibrium(cell, x, {.policy = policy});
    program = std::make_unique<Program>(Program::compile(graph, std::vector<Value>{z}, backend));
  }
  const SolveReport& run(const Tensor& x) {
    program->bind("x", x);
    program->run();
    solution = program->read(z);
    return *program->forward_report();
  }
  [[nodiscard]] std::span<const float> row(int sample) const {
    return solution.data<float>().subspan(static_cast<std::size_t>(sample * kSample), kSample);
  }
  Graph graph;
  Value z;
  std::unique_ptr<Program> program;
  Tensor solution;
};

double distance(std::span<const float> a, std::span<const float> b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a[i] - b[i])));
  return worst;
}

/// Samples that the solve had to compute: f at every iterate of each.
std::int64_t needed(const SolveReport& report) {
  std::int64_t sum = 0;
  for (const int steps : report.steps) sum += steps + 1;
  return sum;
}

const std::vector<SolverMethod> kMethods{Broyden{}, Broyden{.form = BroydenForm::low_rank}, Anderson{}, Picard{}};

}  // namespace

TEST_CASE("finished samples cost nothing more, and the answers are those of each sample alone") {
  CpuBackend cpu;
  const ConvCell cell;
  for (const int batch : {5, 8, 13}) {
    const Tensor x = images(batch);
    for (const SolverMethod& method : kMethods) {
      CAPTURE(batch);
      CAPTURE(name_of(method));
      Solver whole(cpu, cell, batch, options(method), Compaction::off);
      Solver compacting(cpu, cell, batch, options(method), Compaction::on);
      Solver alone(cpu, cell, 1, options(method), Compaction::on);
      const SolveReport expected = whole.run(x);
      const SolveReport report = compacting.run(x);
      CHECK(expected.evaluations_saved() == 0.0);
      CHECK(*std::max_element(report.steps.begin(), report.steps.end()) >
            *std::min_element(report.steps.begin(), report.steps.end()));
      CHECK(report.sample_evaluations == needed(report));
      CHECK(report.map_calls == expected.map_calls);
      CHECK(report.steps == expected.steps);
      CHECK(report.status == expected.status);
      for (int b = 0; b < batch; ++b) {
        const SolveReport single = alone.run(one_of(x, b));
        CHECK(single.steps[0] == report.steps[static_cast<std::size_t>(b)]);
        CHECK(single.status[0] == report.status[static_cast<std::size_t>(b)]);
        // Kernels of another batch size may add in another order; the iterates then part by the rounding of f32, which
        // the solver neither amplifies nor forgets.
        CHECK(distance(alone.row(0), compacting.row(b)) < 1e-5);
        CHECK(distance(whole.row(b), compacting.row(b)) < 1e-5);
      }
    }
  }
}

TEST_CASE("in exact kernels a sample's answer is the same bits in any company") {
  ReferenceBackend reference;
  const ConvCell cell;
  const Tensor x = images(5);
  Solver compacting(reference, cell, 5, options(Broyden{}), Compaction::on);
  Solver alone(reference, cell, 1, options(Broyden{}), Compaction::on);
  const SolveReport report = compacting.run(x);
  CHECK(report.evaluations_saved() > 0.1);
  for (int b = 0; b < 5; ++b) {
    const SolveReport single = alone.run(one_of(x, b));
    CHECK(single.residual[0] == report.residual[static_cast<std::size_t>(b)]);
    CHECK(distance(alone.row(0), compacting.row(b)) == 0.0);
  }
}

TEST_CASE("a compacting solve allocates nothing") {
  CpuBackend cpu;
  const Tensor x = images(13);
  Solver solver(cpu, ConvCell{}, 13, options(Broyden{}), Compaction::on);
  CHECK(solver.run(x).evaluations_saved() > 0.1);
  const std::size_t before = tests::allocations();
  solver.program->run();
  CHECK(tests::allocations() == before);
}

TEST_CASE("a run leaves nothing behind for the next") {
  CpuBackend cpu;
  const ConvCell cell;
  Solver used(cpu, cell, 8, options(Broyden{}), Compaction::on);
  (void)used.run(random_tensor({8, 6, 6, 8}, 3.0F, 9));
  (void)used.run(images(8));
  Solver fresh(cpu, cell, 8, options(Broyden{}), Compaction::on);
  (void)fresh.run(images(8));
  for (int b = 0; b < 8; ++b) CHECK(distance(used.row(b), fresh.row(b)) == 0.0);
}

TEST_CASE("a sample that is not finite leaves at once and disturbs nobody") {
  CpuBackend cpu;
  const ConvCell cell;
  Tensor x = images(5);
  Solver solver(cpu, cell, 5, options(Broyden{}), Compaction::on);
  const SolveReport before = solver.run(x);
  const Tensor expected = solver.solution;
  x.data<float>()[2 * kSample + 7] = std::numeric_limits<float>::quiet_NaN();
  const SolveReport report = solver.run(x);
  CHECK(report.status[2] == SolveStatus::nonfinite);
  CHECK(report.steps[2] == 0);
  CHECK(report.sample_evaluations == needed(report));
  for (const int b : {0, 1, 3, 4}) {
    const auto row = expected.data<float>().subspan(static_cast<std::size_t>(b * kSample), kSample);
    CHECK(report.status[static_cast<std::size_t>(b)] == before.status[static_cast<std::size_t>(b)]);
    CHECK(distance(solver.row(b), row) < 1e-5);  // other rungs from then on
  }
}

TEST_CASE("one sample, equal samples and a fixed number of steps have nothing to save") {
  CpuBackend cpu;
  const ConvCell cell;
  Solver one(cpu, cell, 1, options(Broyden{}), Compaction::on);
  CHECK(one.run(images(1)).evaluations_saved() == 0.0);
  CHECK(one.program->describe().find("samples") == std::string::npos);

  const Tensor easy = random_tensor({1, 6, 6, 8}, 3.0F, 5);
  Tensor equal(DType::f32, {4, 6, 6, 8});
  for (std::size_t i = 0; i < equal.data<float>().size(); ++i) equal.data<float>()[i] = easy.data<float>()[i % kSample];
  Solver together(cpu, cell, 4, options(Broyden{}), Compaction::on);
  const SolveReport report = together.run(equal);
  CHECK(report.count(SolveStatus::converged) == 4);
  CHECK(report.evaluations_saved() == 0.0);

  SolverOptions fixed = options(Broyden{});
  fixed.tolerance.value = 0;
  Solver counted(cpu, cell, 4, fixed, Compaction::on);
  CHECK(counted.program->describe().find("samples") == std::string::npos);
}

TEST_CASE("gradients do not notice compaction") {
  const ConvCell cell;
  const Tensor x = images(5);
  const auto gradient = [&](Compaction compaction) {
    Graph graph(Mode::training);
    const Value image = graph.input("x", x.type(), Rate::batch);
    const auto policy = std::make_shared<ImplicitPolicy>(options(Broyden{}), Refined{.steps = 3}, compaction);
    const Value loss = mean(square(equilibrium(cell, image, {.policy = policy})));
    const std::vector<Value> wanted = gradients(loss, std::vector<Value>{graph.find("in")});
    CpuBackend cpu;
    Program program = Program::compile(graph, wanted, cpu);
    program.bind("x", x);
    program.run();
    CHECK((program.forward_report()->evaluations_saved() > 0.0) == (compaction == Compaction::on));
    return program.read(wanted[0]);
  };
  const Tensor with = gradient(Compaction::on), without = gradient(Compaction::off);
  double largest = 0;
  for (const float value : without.data<float>()) largest = std::max(largest, std::abs(static_cast<double>(value)));
  CHECK(distance(with.data<float>(), without.data<float>()) <
        1e-4 * largest);  // the rounding of f32, three products on
}
