#include <doctest/doctest.h>

#include <iostream>

#include "core/reference/backend.h"
#include "layers/equilibrium.h"
#include "solvers/names.h"
#include "tests/train/second_derivative.h"
#ifdef DEQ_CUDA
#include "core/cuda/backend.h"
#include "core/cuda/device.h"
#endif

// Derivatives through equilibria on a device, beside the same programs on the reference executor.

#ifdef DEQ_CUDA
namespace deq::test {
namespace {

bool is_skipped() {
  const std::string reason = no_cuda_reason();
  if (!reason.empty()) std::cout << "SKIPPED: no CUDA device: " << reason << '\n';
  return !reason.empty();
}

constexpr CudaOptions kExact{.precision = CudaPrecision::f32, .is_deterministic = true};
constexpr int kBatch = 4, kWidth = 12;

/// Far from low rank as a matrix.
Tensor wave(const Shape& shape, float phase, float scale) {
  Tensor out(DType::f32, shape);
  float index = 0;
  for (float& value : out.data<float>()) value = scale * std::sin(phase + 0.37F * index * index), ++index;
  return out;
}

/// z* and the gradients of sum(z*^2) in x and a weight, of z = tanh(0.5 y + x) with y = tanh(y B + z / 2) where
/// `is_nested`, else of z = tanh(z B + x).
std::vector<std::vector<double>> solve(const std::shared_ptr<const EquilibriumPolicy>& policy, bool is_nested,
                                       Backend& backend) {
  Graph graph(Mode::training);
  const Value x = graph.input("x", {DType::f32, {kBatch, kWidth}}, Rate::batch);
  const Value b = graph.parameter("b", std::make_shared<Tensor>(wave({kWidth, kWidth}, 0.4F, 0.25F)));
  const auto step = [&](Value state, Value injected) { return deq::tanh(matmul(state, b) + injected); };
  const EquilibriumOptions how{.policy = policy};
  const auto outer = [&](Value state, Value injected) {
    return deq::tanh(equilibrium(step, state * 0.5, how) * 0.5 + injected);
  };
  const Value z = is_nested ? equilibrium(outer, x, how) : equilibrium(step, x, how);
  std::vector<Value> outputs{z};
  for (const Value& gradient : gradients(sum(square(z)), {x, b})) outputs.push_back(gradient);
  Program program = Program::compile(graph, outputs, backend);
  program.bind(x, wave({kBatch, kWidth}, 0.1F, 1));
  for (int replay = 0; replay < 3; ++replay) program.run();  // launched, captured, replayed
  std::vector<std::vector<double>> out;
  for (const Value& output : outputs) {
    Tensor values(DType::f64, output.shape());
    program.read(output, values);
    out.emplace_back(values.data<double>().begin(), values.data<double>().end());
  }
  return out;
}

}  // namespace

// Few steps, as many on both and far from the ends of float: what an estimate has seen is part of its answer.
TEST_CASE("solvers and estimators give the reference's equilibria and gradients on a CUDA device") {
  if (is_skipped()) return;
  ReferenceBackend reference;
  CudaBackend device(0, kExact);
  for (const std::string solver :
       {"picard", "anderson", "broyden", "broyden-lowrank", "adjoint-broyden", "newton-krylov"})
    for (const std::string estimator :
         {"exact", "jfb", "shine", "shine-refine-5", "neumann-5", "unrolled-10", "nystrom-12"})
      for (const bool is_nested : {false, true}) {
        CAPTURE(solver);
        CAPTURE(estimator);
        CAPTURE(is_nested);
        const auto policy = [&] {
          return policy_from_name(
              estimator, {.method = method_from_name(solver), .max_steps = 3, .tolerance = {1e-9}, .patience = 0});
        };
        const auto expected = solve(policy(), is_nested, reference), found = solve(policy(), is_nested, device);
        for (std::size_t i = 0; i < expected.size(); ++i) CHECK(relative_difference(found[i], expected[i]) < 1e-4);
      }
}

TEST_CASE("a CUDA device gives the reference's second derivatives of a whole model") {
  if (is_skipped()) return;
  SecondDerivativeProblem problem;
  ReferenceBackend reference;
  CudaBackend device(0, kExact);
  const SecondDerivatives expected = problem.at(0, reference), found = problem.at(0, device);
  CHECK(relative_difference(found.gradient, expected.gradient) < 1e-3);
  CHECK(relative_difference(found.product, expected.product) < 1e-3);
  CHECK(relative_difference(found.tangent, expected.tangent) < 1e-3);
}

}  // namespace deq::test
#else
TEST_CASE("derivatives through equilibria on a CUDA device") { std::cout << "SKIPPED: built without CUDA\n"; }
#endif
