#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/core/float_tensors.h"
#include "tests/op_cases/plain_solvers.h"

using namespace deq;

namespace {

constexpr int kSteps = 3;

using Blocks = std::vector<Value>;

/// f over four states: an image that is convolved and normed, a vector fed by it, a state that is handed on as it is,
/// and one whose result is no function of the states at all.
struct Cell {
  std::shared_ptr<Tensor> w1 = std::make_shared<Tensor>(random_tensor({16, 8, 3, 3}, 1));
  std::shared_ptr<Tensor> w2 = std::make_shared<Tensor>(random_tensor({8, 16, 3, 3}, 2));
  std::shared_ptr<Tensor> w3 = std::make_shared<Tensor>(random_tensor({8, 5}, 3));
  std::vector<TensorType> states{
      {DType::f32, {2, 6, 5, 8}}, {DType::f32, {2, 5}}, {DType::f32, {2, 5}}, {DType::f32, {2, 3}}};

  [[nodiscard]] Blocks operator()(const Blocks& z) const {
    Graph& graph = *z[0].graph;
    const Value x = graph.input("x", states[0], Rate::batch);
    const Value drive = graph.input("drive", states[3], Rate::batch);
    const Value inner = relu(group_norm(conv2d(z[0], graph.parameter("w1", w1) * 0.1, {.pad = 1}), 4, 1e-5).y);
    const Value update = conv2d(inner, graph.parameter("w2", w2) * 0.1, {.pad = 1});
    const Value image = group_norm(update + x, 4, 1e-5).y + z[0] * 0.1;
    const Value pooled = matmul(global_avg_pool(image), graph.parameter("w3", w3));
    return {image, deq::tanh(pooled + z[2]), z[1], drive * 2.0};
  }
};

/// The cell as an equilibrium program.
struct Solved {
  explicit Solved(Backend& backend) {
    Blocks z, start;
    for (std::size_t i = 0; i < cell.states.size(); ++i) {
      z.push_back(graph.input("z" + std::to_string(i), cell.states[i], Rate::iterate));
      start.push_back(constant(graph, 0.0, cell.states[i].shape));
    }
    const RegionId region = graph.add_region(z, cell(z));
    solution = graph.add(Equilibrium{.region = region, .policy = std::make_shared<tests::PlainPolicy>(kSteps)}, start);
    program = std::make_unique<Program>(Program::compile(graph, solution, backend));
    program->bind("x", x);
    program->bind("drive", drive);
    program->run();
  }
  Cell cell;
  Tensor x = random_tensor({2, 6, 5, 8}, 11), drive = random_tensor({2, 3}, 12);
  Graph graph;
  Blocks solution;
  std::unique_ptr<Program> program;
};

/// The cell at `z`, node by node in double.
std::vector<Tensor> interpreted(const Cell& cell, const std::vector<Tensor>& z, const Tensor& x, const Tensor& drive) {
  Graph graph;
  Blocks states;
  Bindings bindings{{"x", x}, {"drive", drive}};
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::string name = "z" + std::to_string(i);
    states.push_back(graph.input(name, cell.states[i], Rate::batch));
    bindings[name] = z[i];
  }
  ReferenceBackend reference;
  return interpret(graph, cell(states), bindings, reference);
}

template <class T>
void check_replay(Solved& solved, double tolerance) {
  std::vector<Tensor> z;
  FixedPointMap& map = *solved.program->map();
  auto* input = static_cast<T*>(map.input().data);
  for (std::size_t i = 0; i < solved.cell.states.size(); ++i) {
    z.push_back(random_tensor(solved.cell.states[i].shape, static_cast<unsigned>(20 + i)));
    for (const float value : z.back().data<float>()) *input++ = static_cast<T>(value);
  }
  map.replay();
  const auto* output = static_cast<const T*>(map.output().data);
  double worst = 0;
  for (const Tensor& truth : interpreted(solved.cell, z, solved.x, solved.drive))
    for (const double value : truth.data<double>())
      worst = std::max(worst, std::abs(static_cast<double>(*output++) - value));
  CHECK(worst < tolerance);
}

}  // namespace

TEST_CASE("replaying a region equals interpreting its function") {
  ReferenceBackend reference;
  Solved in_double(reference);
  check_replay<double>(in_double, 1e-12);  // the same sums, some fused
  CpuBackend cpu;
  Solved in_single(cpu);
  check_replay<float>(in_single, 2e-5);  // f32 convolutions of 72 and 144 terms
}

TEST_CASE("a solve by replays equals the function applied as often") {
  CpuBackend cpu;
  const Solved solved(cpu);
  std::vector<Tensor> z;
  for (const TensorType& type : solved.cell.states) z.emplace_back(DType::f64, type.shape);
  for (int step = 0; step < kSteps; ++step) z = interpreted(solved.cell, z, solved.x, solved.drive);
  for (std::size_t i = 0; i < z.size(); ++i) {
    const Tensor found = solved.program->read(solved.solution[i]);
    double worst = 0;
    for (std::size_t k = 0; k < found.data<float>().size(); ++k)
      worst = std::max(worst, std::abs(static_cast<double>(found.data<float>()[k]) - z[i].data<double>()[k]));
    CHECK(worst < 5e-5);  // as one replay, kSteps times
  }
}

TEST_CASE("the description of a program shows what left the loop") {
  Graph graph;
  const auto storage = std::make_shared<Tensor>(random_tensor({3, 3}, 1));
  const Value x = graph.input("x", {DType::f32, {2, 3}}, Rate::batch);
  const Value z = graph.input("z", x.type(), Rate::iterate);
  const Value w = graph.parameter("w", storage);
  Value injected, result;
  {
    const Scope scope(graph, "stem");
    injected = matmul(x, w);
  }
  {
    const Scope scope(graph, "cell");
    result = deq::tanh(matmul(z, w * 0.5) + injected);
  }
  const RegionId region = graph.add_region({z}, {result});
  const Value start = constant(graph, 0.0, {2, 3});
  const std::vector<Value> solution = graph.add(
      Equilibrium{.region = region, .policy = std::make_shared<tests::PlainPolicy>(kSteps)}, std::vector<Value>{start});
  const std::vector<Value> outputs{relu(solution[0])};
  CpuBackend cpu;
  const Program program = Program::compile(graph, outputs, cpu);
  CHECK(program.describe() == R"(arena 512 bytes, 12 buffers, 1 results in place
    0 matmul f32[2,3] @batch -> +320  stem
    1 affine f32[3,3] @step -> +0  cell
    2 constant f32[2,3] @constant -> +384
    3   loop matmul [solve 0] f32[2,3] @iterate -> +448  cell
    4   loop add [solve 0] f32[2,3] @iterate -> +448  cell
    5   loop tanh [solve 0] f32[2,3] @iterate -> +256  cell
    6 equilibrium f32[2,3] @batch -> +128
    7 relu f32[2,3] @batch -> +192
)");
  CHECK(program.map_launches() == 3);
}
