#include <doctest/doctest.h>
#include <omp.h>

#include <functional>

#include "layers/dsl.h"
#include "tests/layers/evaluate.h"
#include "tests/layers/region_counter.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

using Policy = std::shared_ptr<const EquilibriumPolicy>;
/// Equilibrium of some cell for the input.
using Layer = std::function<Value(const ParamScope& scope, Value x, const Policy& policy)>;

Policy policy_of(const SolverMethod& method, const AdjointOptions& adjoint, Compaction compaction = Compaction::off) {
  return std::make_shared<ImplicitPolicy>(
      SolverOptions{.method = method, .max_steps = 12, .tolerance = {.value = 1e-5}, .patience = 0}, adjoint,
      compaction);
}

const Policy kPolicies[] = {
    policy_of(Broyden{}, FullAdjoint{}),
    policy_of(Broyden{}, SharedInverse{}, Compaction::on),
    policy_of(Broyden{.form = BroydenForm::low_rank}, Refined{.start = AdjointStart::identity, .steps = 2}),
    policy_of(Broyden{.history = StepHistory::bf16}, KrylovAdjoint{}),
    policy_of(Anderson{}, NeumannSeries{}),
    policy_of(Picard{}, JacobianFree{}),
    policy_of(AdjointBroyden{}, SharedInverse{}),
    policy_of(NewtonKrylov{}, FullAdjoint{}),
};

/// What one replay of a training step does.
struct Step {
  Step(const Layer& layer, const Shape& input, const Policy& policy, int threads, const CpuOptions& options = {}) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    Graph graph(Mode::training);
    ParameterStore store(/*seed=*/3);
    const ParamScope scope(store);
    const Value x = graph.input("x", {DType::f32, input}, Rate::batch);
    const Value loss = mean(square(layer(scope, x, policy)));
    const std::vector<Value> weights = store.trainable(graph), gradient = gradients_or_zeros(loss, weights);
    for (std::size_t i = 0; i < weights.size(); ++i) graph.assign(weights[i], weights[i] - gradient[i] * 0.1);
    CpuBackend cpu(options);
    Program program = Program::compile(graph, std::vector{loss}, cpu);
    program.bind(x, wave(input));
    program.run();
    const std::size_t regions_before = tests::parallel_regions();
    program.run();
    regions = tests::parallel_regions() - regions_before;
    result = program.read(loss).data<float>()[0];
    omp_set_num_threads(before);
  }

  std::size_t regions = 0;
  float result = 0;
};

Value dense(const ParamScope& scope, Value x, const Policy& policy) {
  const int width = static_cast<int>(x.shape()[1]);
  const layers::Linear w(scope / "w", width, width);
  const layers::LayerNorm norm(scope / "norm", width);
  return equilibrium([&](Value z, Value injected) { return deq::tanh(norm(w(z)) * 0.3 + injected); }, x,
                     {.policy = policy});
}

/// Products of small matrices, one a sample.
Value attention(const ParamScope& scope, Value x, const Policy& policy) {
  const layers::Linear w(scope / "w", static_cast<int>(x.shape()[2]), static_cast<int>(x.shape()[2]));
  return equilibrium(
      [&](Value z, Value injected) {
        return deq::tanh(matmul(deq::tanh(matmul(z, z, false, true)), w(z)) * 0.05 + injected);
      },
      x, {.policy = policy});
}

/// Of `kernel` x `kernel` pixels, with and without a stride.
Layer convolutional(int kernel, int groups = 1) {
  return [=](const ParamScope& scope, Value x, const Policy& policy) {
    const int width = static_cast<int>(x.shape()[3]);
    const layers::Conv2d stem(scope / "stem", width, width, 3, {.stride = 2, .pad = 1});
    const layers::Conv2d inner(scope / "inner", width, width, kernel, {.pad = kernel / 2, .groups = groups});
    const layers::GroupNorm norm(scope / "norm", width, 2);
    return equilibrium([&](Value z, Value injected) { return deq::tanh(norm(inner(z)) * 0.3 + injected); }, stem(x),
                       {.policy = policy});
  };
}

}  // namespace

TEST_CASE("a tiny training step enters no parallel region, with any solver") {
  for (const Policy& policy : kPolicies) {
    CAPTURE(policy->describe());
    CHECK(Step(dense, {8, 8}, policy, 4).regions == 0);
  }
  CHECK(Step(attention, {6, 5, 8}, kPolicies[0], 4).regions == 0);
}

TEST_CASE("tiny convolutions enter no parallel region, whoever computes them") {
  for (const ConvAlgorithm algorithm :
       {ConvAlgorithm::automatic, ConvAlgorithm::direct, ConvAlgorithm::winograd, ConvAlgorithm::bf16}) {
    CAPTURE(static_cast<int>(algorithm));
    for (const Layer& layer : {convolutional(3), convolutional(1), convolutional(3, 2)})
      for (const std::int64_t channels : {4, 16})
        CHECK(Step(layer, {2, 6, 6, channels}, kPolicies[0], 4, {.algorithm = algorithm}).regions == 0);
  }
}

TEST_CASE("larger steps use all threads and have the result of one") {
  for (const Policy& policy : kPolicies) {
    CAPTURE(policy->describe());
    const Step several(dense, {64, 512}, policy, 3), alone(dense, {64, 512}, policy, 1);
    CHECK(several.regions > 10);
    CHECK(alone.regions == 0);
    CHECK(several.result == doctest::Approx(alone.result).epsilon(1e-5));
  }
  CHECK(Step(convolutional(3), {8, 32, 32, 24}, kPolicies[0], 3).regions > 10);
  CHECK(Step(attention, {64, 16, 32}, kPolicies[0], 3).regions > 10);
}

TEST_CASE("the number of threads changes no bit of a tiny step") {
  for (const Policy& policy : kPolicies) {
    CAPTURE(policy->describe());
    CHECK(Step(dense, {8, 8}, policy, 4).result == Step(dense, {8, 8}, policy, 1).result);
  }
  CHECK(Step(convolutional(3), {2, 6, 6, 16}, kPolicies[0], 4).result ==
        Step(convolutional(3), {2, 6, 6, 16}, kPolicies[0], 1).result);
}
