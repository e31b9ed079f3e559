#include <doctest/doctest.h>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/op_cases/emulated_cuda.h"
#include "tests/op_cases/plain_solvers.h"

// Parameters between programs, and from outside.

using namespace deq;

namespace {

using Floats = std::vector<float>;

std::shared_ptr<Tensor> pair_of(float value) {
  return std::make_shared<Tensor>(Tensor::of<float>({2}, Floats{value, value}));
}

/// y = exp(p) x: a part that waits for parameters alone, and one of every run.
struct Evaluation {
  explicit Evaluation(const std::shared_ptr<Tensor>& p, Backend& backend) {
    x = graph.input("x", {DType::f32, {2}}, Rate::batch);
    y = (graph.parameter("p", p) * 2.0 + 1.0) * x;
    program = std::make_unique<Program>(Program::compile(graph, std::vector{y}, backend));
    program->bind(x, *pair_of(1));
  }
  float run() {
    program->run();
    return program->read(y).data<float>()[1];
  }
  Graph graph;
  Value x, y;
  std::unique_ptr<Program> program;
};

/// p <- p * 10.
struct Training {
  explicit Training(const std::shared_ptr<Tensor>& tensor, Backend& backend) {
    const Value p = graph.parameter("p", tensor);
    graph.assign(p, p * 10.0);
    program = std::make_unique<Program>(Program::compile(graph, std::vector{p * 1.5}, backend));
  }
  Graph graph{Mode::training};
  std::unique_ptr<Program> program;
};

template <class Check>
void on_every_backend(const Check& check) {
  CpuBackend cpu;
  ReferenceBackend reference;
  tests::EmulatedCuda device;
  for (Backend* backend : std::initializer_list<Backend*>{&cpu, &reference, &device}) {
    CAPTURE(name_of(backend->device()));
    check(*backend);
  }
}

}  // namespace

TEST_CASE("a program sees what another program made of its parameters") {
  on_every_backend([](Backend& backend) {
    const auto p = pair_of(1);
    Evaluation evaluation(p, backend);
    Training training(p, backend);
    CHECK(evaluation.run() == 3);
    training.program->run();
    CHECK(evaluation.run() == 21);
    training.program->run();
    training.program->run();
    CHECK(evaluation.run() == 2001);
  });
}

TEST_CASE("values that the host writes and tells of are seen, before and after a device's own") {
  on_every_backend([](Backend& backend) {
    const auto p = pair_of(1);
    Evaluation evaluation(p, backend);
    Training training(p, backend);
    CHECK(evaluation.run() == 3);
    p->data<float>()[1] = 4;
    p->touch();
    CHECK(evaluation.run() == 9);
    training.program->run();
    CHECK(evaluation.run() == 81);
    p->data<float>()[0] = p->data<float>()[1] = 5;  // where a device has its own, this replaces it
    p->touch();
    CHECK(evaluation.run() == 11);
    training.program->run();
    training.program->fetch_parameters();
    CHECK(p->data<float>()[1] == 50);
  });
}

TEST_CASE("a tensor that takes a parameter's place is refused, not read by mistake") {
  on_every_backend([](Backend& backend) {
    const auto p = pair_of(1);
    Evaluation evaluation(p, backend);
    CHECK(evaluation.run() == 3);
    *p = *pair_of(7);
    CHECK_THROWS_WITH_AS(evaluation.run(), doctest::Contains("tensor of parameter 'p' was replaced"), Error);
  });
}

TEST_CASE("outputs are what they were before the assignments of the run") {
  on_every_backend([](Backend& backend) {
    Graph graph(Mode::training);
    const auto storage = std::make_shared<Tensor>(Tensor::of<float>({2, 1}, Floats{1, 1}));
    const Value p = graph.parameter("p", storage);
    graph.assign(p, p * 10.0);
    const std::vector<Value> outputs{p, p * 1.0, reshape(p, {2}), reshape(reshape(p, {1, 2}), {2}), copy(p), p * 2.0};
    Program program = Program::compile(graph, outputs, backend);
    for (const float before : {1.0F, 10.0F}) {
      program.run();
      for (std::size_t i = 0; i < outputs.size(); ++i)
        CHECK(program.read(outputs[i]).data<float>()[1] == (i == 5 ? 2 * before : before));
    }
    program.fetch_parameters();
    CHECK(storage->data<float>()[0] == 100);
  });
}

TEST_CASE("parameters cannot be bound, and the message says how they are set") {
  CpuBackend cpu;
  Evaluation evaluation(pair_of(1), cpu);
  const Value p = evaluation.graph.find("p");
  CHECK_THROWS_WITH_AS(evaluation.program->bind(p, *pair_of(2)), doctest::Contains("ParameterStore::set"), Error);
}

TEST_CASE("inf and nan are named where they come in") {
  CpuBackend cpu;
  const auto w = pair_of(0.5);
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {1, 2}}, Rate::batch);
  const Value state = graph.input("z", {DType::f32, {1, 2}}, Rate::iterate);
  const RegionId region = graph.add_region({state}, {state * graph.parameter("w", w) + log(x)});
  const auto policy = std::make_shared<tests::PlainPolicy>(3);
  const Value z0 = constant(graph, 0.0, {1, 2});
  const Value z = graph.add(Equilibrium{.region = region, .policy = policy}, std::vector{z0})[0];
  Program program = Program::compile(graph, std::vector{z}, cpu, {.checks_finite = true});
  const auto bind = [&](float value) { program.bind(x, Tensor::of<float>({1, 2}, Floats{1, value})); };
  bind(2);
  program.run();
  bind(std::numeric_limits<float>::quiet_NaN());
  CHECK_THROWS_WITH_AS(program.run(), "program: input 'x' is not finite", Error);
  bind(2);
  w->data<float>()[0] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH_AS(program.run(), "program: input 'w' is not finite", Error);
}

TEST_CASE("room of doubles takes what any backend stores") {
  on_every_backend([](Backend& backend) {
    Graph graph;
    const Value x = graph.input("x", {DType::f32, {3}}, Rate::batch);
    const Value y = x * 0.5;
    Program program = Program::compile(graph, {y}, backend);
    program.bind(x, Tensor::of<float>({3}, std::vector<float>{1, 2, 5}));
    program.run();
    Tensor doubles(DType::f64, {3});
    program.read(y, doubles);
    CHECK(doubles.data<double>()[2] == 2.5);
  });
}
