#include "core/sample_runs.h"

#include <doctest/doctest.h>
#include <omp.h>

#include <cstring>
#include <functional>
#include <random>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/cpu/rounded_conv.h"
#include "core/cpu/vector.h"
#include "core/program.h"
#include "tests/core/float_tensors.h"
#include "tests/op_cases/plain_solvers.h"

using namespace deq;

namespace {

using Blocks = std::vector<Value>;
using Cell = std::function<Blocks(Graph&, const Blocks&)>;

/// f of `types` on a number of threads: its value at a random state, and how the program describes itself.
struct Evaluated {
  Evaluated(const std::vector<TensorType>& types, const Cell& cell, int threads, const CpuOptions& options = {}) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    Graph graph;
    Blocks z, start;
    for (std::size_t i = 0; i < types.size(); ++i) {
      z.push_back(graph.input("z" + std::to_string(i), types[i], Rate::iterate));
      start.push_back(constant(graph, 0.0, types[i].shape));
    }
    const RegionId region = graph.add_region(z, cell(graph, z));
    const Blocks solution =
        graph.add(Equilibrium{.region = region, .policy = std::make_shared<tests::PlainPolicy>(0)}, start);
    CpuBackend cpu(options);
    Program program = Program::compile(graph, solution, cpu);
    for (const NodeId id : graph.inputs())
      if (graph.rate(Ref{id, 0}) == Rate::batch)
        program.bind(graph.input_name(id), random_tensor(graph.type(Ref{id, 0}).shape, id));
    program.run();
    FixedPointMap& map = *program.map();
    std::mt19937 generator(7);
    std::normal_distribution<float> normal;
    auto* state = static_cast<float*>(map.input().data);
    for (std::int64_t i = 0; i < map.spec().elements(); ++i) state[i] = normal(generator);
    for (int replay = 0; replay < 3; ++replay) {  // what one replay leaves behind must not change the next
      map.replay();
      const auto* values = static_cast<const float*>(map.output().data);
      value.emplace_back(values, values + map.spec().elements());
    }
    sample_threads = map.sample_threads();
    if (sample_threads > 0) {
      std::memset(map.output().data, 0, map.spec().bytes());
      for (int sample = map.spec().batch - 1; sample >= 0; --sample) map.replay_sample(sample);
      const auto* values = static_cast<const float*>(map.output().data);
      value_by_sample.assign(values, values + map.spec().elements());
    }
    description = program.describe();
    launches = program.map_launches();
    peak_bytes = program.peak_bytes();
    omp_set_num_threads(before);
  }
  [[nodiscard]] bool is_depth_first() const { return description.find("sample by sample") != std::string::npos; }

  std::vector<std::vector<float>> value;
  std::string description;
  std::size_t launches = 0, peak_bytes = 0;
  int sample_threads = 0;
  std::vector<float> value_by_sample;
};

constexpr std::int64_t kBatch = 8;
/// Eight samples go evenly over two threads, but not over seven.
constexpr int kEven = 2, kUneven = 7;

void expect_same_values(const std::vector<TensorType>& types, const Cell& cell, const CpuOptions& options = {}) {
  const Evaluated layers(types, cell, kUneven, options), samples(types, cell, kEven, options);
  REQUIRE_FALSE(layers.is_depth_first());
  REQUIRE(samples.is_depth_first());
  CHECK(samples.launches == layers.launches);
  for (std::size_t replay = 0; replay < layers.value.size(); ++replay) {
    REQUIRE(samples.value[replay].size() == layers.value[replay].size());
    CHECK(std::memcmp(samples.value[replay].data(), layers.value[replay].data(),
                      layers.value[replay].size() * sizeof(float)) == 0);
  }
}

const TensorType kImage{DType::f32, {kBatch, 13, 10, 24}};

/// A block as in the multiscale models: values of different sizes a sample, results in place, shared and sampled
/// operands, two resolutions.
Blocks block(Graph& graph, const Blocks& z) {
  const auto weights = [&graph](const char* name, const Shape& shape, unsigned seed) {
    return graph.parameter(name, std::make_shared<Tensor>(random_tensor(shape, seed))) * 0.1;
  };
  const Value x = graph.input("x", kImage, Rate::batch);
  const Value mask = graph.input("mask", {DType::f32, {kBatch, 1, 1, 24}}, Rate::batch);
  const Value gamma = weights("gamma", {24}, 4);
  const Value wide = relu(group_norm(conv2d(z[0], weights("w1", {40, 24, 3, 3}, 1), {.pad = 1}), 8, 1e-5).y);
  const Value narrow = conv2d(wide, weights("w2", {24, 40, 3, 3}, 2), {.pad = 1}) * mask + x;
  const Value image = group_norm(relu(group_norm(narrow, 8, 1e-5, gamma, gamma).y + z[0]), 4, 1e-5).y;
  const Value small = conv2d(image, weights("w3", {16, 24, 3, 3}, 3), {.stride = 2, .pad = 1});
  const Value up = resize(conv2d(relu(small), weights("w5", {24, 16, 1, 1}, 5), {}), {.height = 13, .width = 10});
  return {deq::tanh(image + up * gamma)};
}

}  // namespace

TEST_CASE("running a loop sample by sample changes no bit") { expect_same_values({kImage}, block); }

TEST_CASE("convolutions of bf16 join runs by sample and keep their bits") {
  if (!cpu::multiplies_bf16()) {
    MESSAGE("SKIPPED: this processor multiplies no bf16");
    return;
  }
  expect_same_values({kImage}, block, {.algorithm = ConvAlgorithm::bf16});
}

TEST_CASE("what only a run by sample reads has memory for one sample a thread") {
  // The chain holds at most two images at once, of eight samples in one case and of a sample for each thread in the
  // other; states, results and operands are the same in both.
  const Cell chain = [](Graph&, const Blocks& z) -> Blocks {
    Value image = z[0];
    for (int i = 0; i < 6; ++i) image = deq::tanh(group_norm(image, 4, 1e-5).y * 0.5);
    return {image};
  };
  const Evaluated layers({kImage}, chain, kUneven), samples({kImage}, chain, kEven);
  REQUIRE(samples.is_depth_first());
  const std::size_t image = static_cast<std::size_t>(kImage.bytes());
  CHECK(samples.peak_bytes + image / 2 < layers.peak_bytes);
  expect_same_values({kImage}, chain);
}

TEST_CASE("what every sample reads of the loop is computed before") {
  // The norm's scale, eight numbers of the loop itself, is read by each of the eight samples.
  const std::vector<TensorType> types{{DType::f32, {kBatch, 40, 40, 8}}, {DType::f32, {kBatch, 1}}};
  expect_same_values(types, [](Graph&, const Blocks& z) -> Blocks {
    const Value scale = reshape(deq::tanh(z[1]), {kBatch});
    const Value image = group_norm(deq::tanh(z[0]), 4, 1e-5, scale, scale).y;
    return {deq::tanh(relu(image) + z[0]), deq::tanh(z[1] * 2.0)};
  });
}

TEST_CASE("a loop that is one run evaluates any sample alone, with the same bits") {
  const TensorType image{DType::f32, {kBatch, 40, 40, 8}};
  const Cell plain = [](Graph& graph, const Blocks& z) -> Blocks {
    const Value x = graph.input("x", z[0].type(), Rate::batch);
    return {deq::tanh(group_norm(relu(z[0] * 0.5) + x, 4, 1e-5).y)};
  };
  const auto expect_any_sample_alone = [](const TensorType& type, const Cell& cell) {
    const Evaluated samples({type}, cell, kEven);
    CHECK(samples.sample_threads == kEven);
    CHECK(samples.value_by_sample == samples.value.front());
    CHECK(Evaluated({type}, cell, kUneven).sample_threads == 0);
  };
  expect_any_sample_alone(image, plain);
  // Builds for narrow registers leave convolutions to oneDNN, which takes whole batches.
  if constexpr (cpu::kRegisterFloats >= 8)
    expect_any_sample_alone(kImage, block);
  else
    CHECK(Evaluated({kImage}, block, kEven).sample_threads == 0);
}

TEST_CASE("a loop in which a sample reads the states of others evaluates none alone") {
  const std::vector<TensorType> types{{DType::f32, {kBatch, 40, 40, 8}}, {DType::f32, {kBatch, 1}}};
  const Cell crossed = [](Graph&, const Blocks& z) -> Blocks {
    const Value image = group_norm(z[0], 4, 1e-5, reshape(z[1], {kBatch}), reshape(z[1], {kBatch})).y;
    return {deq::tanh(relu(image) + z[0]), deq::tanh(z[1] * 2.0)};
  };
  const Evaluated evaluated(types, crossed, kEven);
  CHECK(evaluated.is_depth_first());
  CHECK(evaluated.sample_threads == 0);
}

TEST_CASE("a loop with little work stays one launch after the other") {
  const std::vector<TensorType> types{{DType::f32, {kBatch, 4, 4, 8}}};
  const Cell cell = [](Graph&, const Blocks& z) -> Blocks { return {deq::tanh(group_norm(z[0], 4, 1e-5).y * 0.5)}; };
  CHECK_FALSE(Evaluated(types, cell, kEven).is_depth_first());
}
