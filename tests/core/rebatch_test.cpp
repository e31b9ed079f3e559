#include "core/rebatch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/core/float_tensors.h"
#include "tests/op_cases/plain_solvers.h"

using namespace deq;

namespace {

using Blocks = std::vector<Value>;
using Cell = std::function<Blocks(const Blocks&)>;

/// z = cell(z) for states of the given types, bound to random inputs.
struct Compiled {
  Compiled(Backend& backend, const std::vector<TensorType>& types, const Cell& cell, bool compacts = true) {
    Blocks z, start;
    for (std::size_t i = 0; i < types.size(); ++i) {
      z.push_back(graph.input("z" + std::to_string(i), types[i], Rate::iterate));
      start.push_back(constant(graph, 0.0, types[i].shape));
    }
    const RegionId region = graph.add_region(z, cell(z));
    const auto policy = std::make_shared<tests::PlainPolicy>(0, compacts);
    const Blocks solution = graph.add(Equilibrium{.region = region, .policy = policy}, start);
    program = std::make_unique<Program>(Program::compile(graph, solution, backend));
    for (const NodeId id : graph.inputs()) {
      const TensorType& type = graph.type(Ref{id, 0});
      if (graph.rate(Ref{id, 0}) == Rate::batch) program->bind(graph.input_name(id), random_tensor(type.shape, id));
    }
    program->run();
  }
  Graph graph;
  std::unique_ptr<Program> program;
};

/// Convolutions with packed weights and without, norms, rows folded into axis 0 and back, broadcasting over samples and
/// within them, values of batch rate read by rows and as a whole, a result that no state changes.
struct RichCell {
  std::shared_ptr<Tensor> w1 = std::make_shared<Tensor>(random_tensor({16, 8, 3, 3}, 1));
  std::shared_ptr<Tensor> w2 = std::make_shared<Tensor>(random_tensor({8, 16, 3, 3}, 2));
  std::shared_ptr<Tensor> w3 = std::make_shared<Tensor>(random_tensor({8, 8}, 3));
  std::shared_ptr<Tensor> gamma = std::make_shared<Tensor>(random_tensor({8}, 4));
  std::int64_t batch;

  explicit RichCell(std::int64_t samples) : batch(samples) {}

  [[nodiscard]] std::vector<TensorType> states() const {
    return {{DType::f32, {batch, 6, 5, 8}}, {DType::f32, {batch, 8}}, {DType::f32, {batch, 3}}};
  }
  Blocks operator()(const Blocks& z) const {
    Graph& graph = *z[0].graph;
    const Value x = graph.input("x", states()[0], Rate::batch);
    const Value shared = graph.input("shared", {DType::f32, {8, 8}}, Rate::batch);
    const Value drive = graph.input("drive", states()[2], Rate::batch);
    const Value g = graph.parameter("gamma", gamma);
    const Value inner = relu(group_norm(conv2d(z[0], graph.parameter("w1", w1) * 0.1, {.pad = 1}), 4, 1e-5).y);
    const Value update = conv2d(inner, graph.parameter("w2", w2) * 0.1, {.pad = 1});
    const Value image = group_norm(update + x, 4, 1e-5, g, g).y * g + z[0] * 0.1;
    const Value tokens = matmul(reshape(image, {batch * 30, 8}), graph.parameter("w3", w3));
    const Value mixed = reshape(transpose(reshape(tokens, {batch, 30, 8}), {0, 2, 1}), {batch, 8, 30});
    const Value pooled = sum(mixed, {2}) * 0.1;
    const Value scores = matmul(reshape(pooled, {batch, 1, 8}), reshape(z[1], {batch, 8, 1}));
    const Value gate = broadcast_to(reshape(deq::tanh(scores), {batch, 1}), {batch, 8});
    return {image, deq::tanh(matmul(pooled, shared) * 0.1 + z[1] * gate), drive * 2.0};
  }
};

void fill_input(FixedPointMap& map, bool is_double) {
  std::mt19937 generator(7);
  std::normal_distribution<float> normal;
  for (std::int64_t i = 0; i < map.spec().elements(); ++i) {
    const float value = normal(generator);
    if (is_double)
      static_cast<double*>(map.input().data)[i] = static_cast<double>(value);
    else
      static_cast<float*>(map.input().data)[i] = value;
  }
}

std::vector<double> output_of(FixedPointMap& map) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < map.spec().elements(); ++i)
    out.push_back(map.spec().dtype == DType::f64
                      ? static_cast<const double*>(map.output().data)[i]
                      : static_cast<double>(static_cast<const float*>(map.output().data)[i]));
  return out;
}

void erase_output(FixedPointMap& map) { std::memset(map.output().data, 0xff, map.spec().bytes()); }

/// Largest difference between f of some samples and those rows of f of all. Rows of the others must stay as they are;
/// `untouched` tells how many do.
double worst_difference(FixedPointMap& map, const std::vector<std::uint8_t>& running) {
  fill_input(map, map.spec().dtype == DType::f64);
  map.replay();
  const std::vector<double> whole = output_of(map);
  const int expected = static_cast<int>(std::count(running.begin(), running.end(), 1));
  CHECK(map.replay_running(running) == expected);
  const std::vector<double> some = output_of(map);
  double worst = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) worst = std::max(worst, std::abs(whole[i] - some[i]));
  return worst;
}

}  // namespace

TEST_CASE("f of some samples is those rows of f of all") {
  const RichCell cell(5);
  ReferenceBackend reference;
  CpuBackend cpu;
  Compiled in_double(reference, cell.states(), cell), in_single(cpu, cell.states(), cell);
  for (unsigned subset = 1; subset < 31; ++subset) {
    std::vector<std::uint8_t> running;
    for (unsigned b = 0; b < 5; ++b) running.push_back(subset >> b & 1u);
    CHECK(worst_difference(*in_double.program->map(), running) == 0.0);  // the oracle computes samples one by one
    // Products of other extents add in another order: measured 2e-6, values up to 4.
    CHECK(worst_difference(*in_single.program->map(), running) < 1e-5);
  }
}

TEST_CASE("stopped samples keep their rows") {
  const RichCell cell(4);
  CpuBackend cpu;
  Compiled compiled(cpu, cell.states(), cell);
  FixedPointMap& map = *compiled.program->map();
  fill_input(map, false);
  erase_output(map);
  CHECK(map.replay_running(std::vector<std::uint8_t>{0, 1, 0, 1}) == 2);
  const std::vector<double> out = output_of(map);
  std::size_t at = 0;
  for (const std::int64_t elems : map.spec().block_elems)
    for (std::size_t b = 0; b < 4; ++b)
      for (std::int64_t i = 0; i < elems; ++i) CHECK(std::isnan(out[at++]) == (b % 2 == 0));
}

TEST_CASE("the program names the operation that joins samples and solves them as one") {
  CpuBackend cpu;
  const std::vector<TensorType> types{{DType::f32, {4, 3}}};
  const auto reason = [&](const Cell& cell) {
    const Compiled compiled(cpu, types, [&](const Blocks& z) {
      const Scope scope(*z[0].graph, "cell");
      return cell(z);
    });
    FixedPointMap& map = *compiled.program->map();
    CHECK(map.spec().batch == 1);
    CHECK(map.spec().block_elems == std::vector<std::int64_t>{12});
    const std::string text = compiled.program->describe();
    const std::size_t at = text.find("solve 0: ");
    return at == std::string::npos ? std::string("none") : text.substr(at, text.find('\n', at) - at);
  };
  const std::string joint = "solve 0: all samples are solved as one, for ";
  CHECK(reason([](const Blocks& z) { return Blocks{z[0] - mean(z[0], {0}, true)}; }) ==
        joint + "sum joins samples (layer 'cell')");
  CHECK(reason([](const Blocks& z) { return Blocks{batch_norm(z[0], 1e-5).y}; }) ==
        joint + "batch_norm joins samples (layer 'cell')");
  CHECK(reason([](const Blocks& z) { return Blocks{matmul(matmul(z[0], z[0], false, true), z[0])}; }) ==
        joint + "matmul reads all samples of operand 1 (layer 'cell')");
  CHECK(reason([](const Blocks& z) {
          return Blocks{reshape(transpose(z[0], {1, 0}), {4, 3})};
        }) == joint + "transpose joins samples (layer 'cell')");
  CHECK(reason([](const Blocks& z) {
          return Blocks{reshape(relu(reshape(z[0], {2, 6})), {4, 3})};
        }) == joint + "reshape moves samples: its result is f32[2,6] (layer 'cell')");
}

TEST_CASE("rungs need hardly more memory than the region they stand for") {
  const RichCell cell(8);
  CpuBackend cpu;
  const Compiled with(cpu, cell.states(), cell), without(cpu, cell.states(), cell, false);
  // Packed weights are shared, values of the loop lie where those of the whole region do. What is left are alignment
  // and buffers that fit less well: measured 1.0.
  CHECK(static_cast<double>(with.program->peak_bytes()) < 1.1 * static_cast<double>(without.program->peak_bytes()));
  CHECK(with.program->map_launches() == without.program->map_launches());
  CHECK(with.program->launches() == without.program->launches());
}

TEST_CASE("a result that appears twice is computed in every replay") {
  CpuBackend cpu;
  const std::vector<TensorType> types(3, {DType::f32, {2, 3}});
  Compiled compiled(cpu, types, [](const Blocks& z) {
    const Value next = deq::tanh(z[0] + 1.0);
    return Blocks{next, next, next};
  });
  FixedPointMap& map = *compiled.program->map();
  fill_input(map, false);
  for (const std::vector<std::uint8_t>& running : {std::vector<std::uint8_t>{1, 1}, {0, 1}, {1, 0}}) {
    erase_output(map);
    (void)map.replay_running(running);
    const std::vector<double> out = output_of(map);
    for (std::size_t i = 0; i < 6; ++i)
      for (std::size_t block = 0; block < 3; ++block)
        if (running[i / 3] != 0)
          CHECK(out[block * 6 + i] ==
                doctest::Approx(std::tanh(static_cast<double>(static_cast<float*>(map.input().data)[i]) + 1)));
  }
}
