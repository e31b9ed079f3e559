#include "core/program.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"
#include "core/rewrite.h"
#include "core/schedule.h"
#include "tests/core/float_tensors.h"
#include "tests/op_cases/allocation_counter.h"
#include "tests/op_cases/counting_backend.h"

using namespace deq;

namespace {

Tensor filled(Shape shape, float scale) {
  Tensor out(DType::f32, shape);
  float x = 0.37f;
  for (float& value : out.data<float>()) {
    x = std::fmod(x * 1.7f + 0.31f, 1.0f);
    value = scale * (2 * x - 1);
  }
  return out;
}

/// conv -> norm -> relu -> conv, with a residual: enough to exercise packing, fusion and reuse.
struct SmallNet {
  Graph graph;
  std::shared_ptr<Tensor> w1 = std::make_shared<Tensor>(filled({16, 8, 3, 3}, 0.2f));
  std::shared_ptr<Tensor> w2 = std::make_shared<Tensor>(filled({8, 16, 3, 3}, 0.2f));
  Value x, y;

  SmallNet() {
    x = graph.input("x", {DType::f32, {2, 9, 7, 8}}, Rate::batch);
    const Value h = relu(group_norm(conv2d(x, graph.parameter("w1", w1), {.pad = 1}), 4, 1e-5).y);
    const Value c = conv2d(h, graph.parameter("w2", w2) * 0.5, {.pad = 1});
    y = tanh(group_norm(c + x, 4, 1e-5).y + x);
  }
};

/// Runs `program` on `values`; its outputs are those of the interpreter on the reference.
void expect_reference(const Graph& graph, const std::vector<Value>& outputs, const Bindings& values, Program& program) {
  for (const auto& [name, value] : values) program.bind(name, value);
  program.run();
  ReferenceBackend reference;
  const std::vector<Tensor> wanted = interpret(graph, outputs, values, reference);
  for (std::size_t i = 0; i < outputs.size(); ++i) CHECK(normalised_error(program.read(outputs[i]), wanted[i]) < 1e-6);
}

/// How often a program's description names `op`.
std::size_t count_of(const std::string& op, const std::string& description) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = description.find(' ' + op + ' ', at)) != std::string::npos; ++at) ++found;
  return found;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double out = 0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i)
    out = std::max(out, std::abs(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i])));
  return out;
}

}  // namespace

TEST_CASE("a compiled program equals the interpreter on both backends") {
  SmallNet net;
  const Tensor x = filled({2, 9, 7, 8}, 1.5f);
  ReferenceBackend reference;
  CpuBackend cpu;
  const Tensor truth = interpret(net.graph, std::vector<Value>{net.y}, {{"x", x}}, reference).front();
  for (Backend* backend : {static_cast<Backend*>(&reference), static_cast<Backend*>(&cpu)}) {
    Program program = Program::compile(net.graph, std::vector<Value>{net.y}, *backend);
    program.bind("x", x);
    program.run();
    const Tensor y = program.read(net.y);
    for (std::size_t i = 0; i < y.data<float>().size(); ++i)
      CHECK(std::abs(y.data<float>()[i] - truth.data<double>()[i]) < 2e-5);  // two f32 convolutions of 72 and 144 terms
  }
}

TEST_CASE("changing an input or a parameter takes effect at the next run") {
  SmallNet net;
  CpuBackend cpu;
  Program program = Program::compile(net.graph, std::vector<Value>{net.y}, cpu);
  const Tensor x = filled({2, 9, 7, 8}, 1.0f);
  program.bind(net.x, x);
  program.run();
  const Tensor first = program.read(net.y);
  program.run();
  CHECK(largest_difference(first, program.read(net.y)) == 0);
  program.bind(net.x, filled({2, 9, 7, 8}, 0.5f));
  program.run();
  const Tensor second = program.read(net.y);
  CHECK(largest_difference(first, second) > 1e-3);
  net.w2->data<float>()[0] += 1.0f;
  program.parameters_changed();
  program.run();
  CHECK(largest_difference(second, program.read(net.y)) > 1e-3);
}

TEST_CASE("peak_bytes is what the arena takes, and planning alone takes nothing") {
  SmallNet net;
  tests::CountingBackend backend;
  const Program plan = Program::compile(net.graph, std::vector<Value>{net.y}, backend, {.plans_only = true});
  CHECK(backend.asked == 0);
  const Program program = Program::compile(net.graph, std::vector<Value>{net.y}, backend);
  CHECK(backend.asked == program.peak_bytes());
  CHECK(plan.peak_bytes() == program.peak_bytes());
}

TEST_CASE("programs that share an arena compute what they compute alone") {
  SmallNet net, other;
  const Value constant_part = constant(other.graph, 2.0, {2, 9, 7, 8});
  other.y = tanh(other.y * constant_part) + constant_part;
  CpuBackend cpu;
  ReferenceBackend reference;
  for (Backend* backend : {static_cast<Backend*>(&cpu), static_cast<Backend*>(&reference)}) {
    const auto compile = [&](const SmallNet& of, bool plans_only) {
      return Program::compile(of.graph, std::vector<Value>{of.y}, *backend, {.plans_only = plans_only});
    };
    const Tensor x = filled({2, 9, 7, 8}, 1.0f);
    std::vector<Tensor> truth;
    for (const SmallNet* of : {&net, &other}) {
      Program alone = compile(*of, false);
      alone.bind("x", x);
      alone.run();
      truth.push_back(alone.read(of->y));
    }
    Program first = compile(net, true), second = compile(other, true);
    const auto arena = std::make_shared<Arena>(*backend, std::max(first.peak_bytes(), second.peak_bytes()));
    first.place(arena);
    second.place(arena);
    for (int round = 0; round < 3; ++round) {
      first.bind("x", x);
      first.run();
      if (round > 0) first.run();  // what it kept from the run before is still there
      CHECK(largest_difference(first.read(net.y), truth[0]) == 0);
      second.bind("x", x);
      CHECK_THROWS_WITH_AS(
          first.run(), "program: another program of the same arena took the place of its inputs; bind them all again",
          Error);
      second.run();
      CHECK(largest_difference(second.read(other.y), truth[1]) == 0);
      CHECK_THROWS_AS((void)first.read(net.y), Error);
    }
  }
}

TEST_CASE("a program takes a place once, in an arena that is large enough") {
  SmallNet net;
  CpuBackend cpu;
  Program program = Program::compile(net.graph, std::vector<Value>{net.y}, cpu, {.plans_only = true});
  CHECK_THROWS_WITH_AS(program.run(), "program: was compiled for its plan only and has no place yet", Error);
  CHECK_THROWS_AS(program.place(std::make_shared<Arena>(cpu, program.peak_bytes() - 64)), Error);
  program.place(std::make_shared<Arena>(cpu, program.peak_bytes()));
  CHECK_THROWS_AS(program.place(std::make_shared<Arena>(cpu, program.peak_bytes())), Error);
}

TEST_CASE("a replay allocates nothing") {
  SmallNet net;
  CpuBackend cpu;
  Program program = Program::compile(net.graph, std::vector<Value>{net.y}, cpu);
  program.bind(net.x, filled({2, 9, 7, 8}, 1.0f));
  program.run();
  const std::size_t before = tests::allocations();
  for (int i = 0; i < 3; ++i) program.run();
  CHECK(tests::allocations() == before);
}

TEST_CASE("the program's rewrite fuses a norm with its neighbours and packs weights out of the batch segment") {
  SmallNet net;
  CpuBackend cpu;
  const Program program = Program::compile(net.graph, std::vector<Value>{net.y}, cpu);
  // Batch segment: conv, norm+relu, conv, (add+norm+add), tanh. Step segment: scaling w2 and packing what is packed.
  const std::string text = program.describe();
  CHECK(text.find(" relu ") == std::string::npos);
  CHECK(text.find(" add ") == std::string::npos);
  CHECK(text.find("pack_weights") != std::string::npos);
}

TEST_CASE("a norm takes in the dropout of whole channels and the sum before it, where nobody else reads them") {
  Graph graph;
  const Shape shape{2, 5, 4, 6};
  const Value x = graph.input("x", {DType::f32, shape}, Rate::batch);
  const Value mask = graph.input("mask", {DType::f32, {2, 1, 1, 6}}, Rate::batch);
  const Value injection = graph.input("injection", {DType::f32, shape}, Rate::batch);
  const Value shared = x * mask;
  const std::vector<Value> outputs{group_norm(x * mask * 2.0, 3, 1e-5).y, group_norm(mask * tanh(x), 3, 1e-5).y,
                                   group_norm(injection * mask + x, 3, 1e-5).y, group_norm(shared, 3, 1e-5).y, shared};
  CpuBackend cpu;
  Program program = Program::compile(graph, outputs, cpu);
  const Bindings values{
      {"x", filled(shape, 1.0f)}, {"mask", filled({2, 1, 1, 6}, 0.7f)}, {"injection", filled(shape, 0.4f)}};
  expect_reference(graph, outputs, values, program);
  CHECK(count_of("mul", program.describe()) == 1);  // the shared one
}

TEST_CASE("enlarged images are added up and rectified in one launch, unless somebody else reads a part") {
  Graph graph;
  const auto image = [&graph](const char* name, std::int64_t height, std::int64_t width) {
    return graph.input(name, {DType::f32, {2, height, width, 4}}, Rate::batch);
  };
  const Value large = image("large", 8, 8), half = image("half", 4, 4), quarter = image("quarter", 2, 2);
  const Value odd = image("odd", 3, 3);
  const auto enlarge = [](Value x) { return resize(x, {.mode = ResizeMode::nearest, .height = 8, .width = 8}); };
  const Value shared = enlarge(half);
  const std::vector<Value> outputs{relu(large + enlarge(half * 2.0) + enlarge(quarter)),  // one launch
                                   large + shared, shared,                                // two launches
                                   large + enlarge(odd)};                                 // does not go evenly
  CpuBackend cpu;
  Program program = Program::compile(graph, outputs, cpu);
  Bindings values;
  for (const Value& input : {large, half, quarter, odd})
    values.emplace(graph.input_name(input.ref.node), filled(input.shape(), 1.0f));
  expect_reference(graph, outputs, values, program);
  const std::string description = program.describe();
  CHECK(count_of("upsample_sum", description) == 1);
  CHECK(count_of("relu", description) == 0);
  CHECK(count_of("resize", description) == 2);
  CHECK(count_of("add", description) == 2);
}

TEST_CASE("a weight of unit rows is one launch, which also serves whoever reads its factors later") {
  Graph graph;
  const Shape shape{6, 3, 2, 2}, lengths{6, 1, 1, 1};
  const Value v = graph.input("v", {DType::f32, shape}, Rate::batch);
  const Value g = graph.input("g", {DType::f32, lengths}, Rate::batch);
  const Value norm = sqrt(sum(v * v, {1, 2, 3}, /*keep_dims=*/true)), ratio = g / norm;
  const Value w = v * ratio;
  const std::vector<Value> outputs{w, w * ratio, tanh(norm)};
  CpuBackend cpu;
  Program program = Program::compile(graph, outputs, cpu);
  const Bindings values{{"v", filled(shape, 1.0f)}, {"g", filled(lengths, 0.7f)}};
  expect_reference(graph, outputs, values, program);
  CHECK(program.launches() == 3);  // the weight, a product and tanh
}

TEST_CASE("what a binary operation stretches by itself is not stretched before it") {
  Graph graph;
  const Shape wide{2, 4, 3, 5};
  const Value x = graph.input("x", {DType::f32, wide}, Rate::batch);
  const Value a = graph.input("a", {DType::f32, {2, 1, 1, 5}}, Rate::batch);
  const Value b = graph.input("b", {DType::f32, {5}}, Rate::batch);
  const std::vector<Value> outputs{broadcast_to(a, wide) * x, x - broadcast_to(b, wide),
                                   broadcast_to(a, wide) + broadcast_to(b, wide)};
  CpuBackend cpu;
  Program program = Program::compile(graph, outputs, cpu);
  const Bindings values{{"x", filled(wide, 1.0f)}, {"a", filled({2, 1, 1, 5}, 0.7f)}, {"b", filled({5}, 0.4f)}};
  expect_reference(graph, outputs, values, program);
  CHECK(count_of("broadcast_to", program.describe()) == 1);  // the sum of two narrow operands needs one of them wide
}

TEST_CASE("wrong bindings are refused by name and type") {
  SmallNet net;
  CpuBackend cpu;
  Program program = Program::compile(net.graph, std::vector<Value>{net.y}, cpu);
  CHECK_THROWS_WITH_AS(program.bind("q", filled({1}, 1)), "program: has no input called 'q'; its inputs are 'x'",
                       Error);
  CHECK_THROWS_WITH_AS(program.bind("x", filled({3}, 1)), "program: input 'x' is f32[2,9,7,8], got f32[3]", Error);
  const Tensor result(DType::f32, net.y.shape());
  CHECK_THROWS_WITH_AS(program.bind(net.y, result), doctest::Contains("only inputs can be bound"), Error);
  program.bind(net.x, filled(net.x.shape(), 1));
  program.run();
  Tensor counts(DType::i32, net.y.shape());
  CHECK_THROWS_WITH_AS(program.read(net.y, counts), doctest::Contains("got room for i32"), Error);
}

TEST_CASE("a program that checks finiteness stops at the node that made a nan") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3}}, Rate::batch);
  Value y;
  {
    const Scope scope(graph, "head");
    y = log(x) * 2.0;
  }
  CpuBackend cpu;
  Program program = Program::compile(graph, std::vector<Value>{y}, cpu, {.checks_finite = true});
  program.bind("x", Tensor::of<float>({3}, std::vector<float>{1, -1, 2}));
  try {
    program.run();
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("log: output 0 f32[3]") == 0);
    CHECK(std::string(error.what()).find("'head'") != std::string::npos);
  }
}

TEST_CASE("an optimiser update overwrites its parameter in place") {
  Graph graph(Mode::training);
  const auto storage = std::make_shared<Tensor>(Tensor::of<float>({2}, std::vector<float>{1, 2}));
  const auto momentum = std::make_shared<Tensor>(DType::f32, Shape{2});
  const Value p = graph.parameter("p", storage), m = graph.parameter("m", momentum);
  const Value g = graph.input("g", {DType::f32, {2}}, Rate::batch),
              lr = graph.input("lr", {DType::f32, {}}, Rate::batch);
  const Value doubled = p * 2.0;  // reads p before the update
  const std::vector<Value> operands{p, g, m, lr};
  const std::vector<Value> updated = graph.add(SgdUpdate{.momentum = 0.5}, operands);
  graph.assign(p, updated[0]);
  graph.assign(m, updated[1]);
  CpuBackend cpu;
  Program program = Program::compile(graph, std::vector<Value>{doubled}, cpu);
  program.bind("g", Tensor::of<float>({2}, std::vector<float>{10, 20}));
  program.bind("lr", Tensor::scalar(0.1f));
  program.run();
  CHECK(storage->data<float>()[0] == doctest::Approx(0.0f));
  CHECK(program.read(doubled).data<float>()[1] == 4.0f);
  program.run();  // momentum 0.5 * 10 + 10 = 15
  CHECK(storage->data<float>()[0] == doctest::Approx(-1.5f));
}

TEST_CASE("values of another graph are refused wherever a program takes values") {
  SmallNet net, other;
  CpuBackend cpu;
  CHECK_THROWS_WITH_AS(Program::compile(net.graph, std::vector<Value>{other.y}, cpu),
                       "program: output 0 belongs to another graph", Error);
  CHECK_THROWS_WITH_AS(Program::compile(net.graph, std::vector<Value>{net.y, Value{}}, cpu),
                       doctest::Contains("program: an empty value"), Error);
  Program program = Program::compile(net.graph, std::vector<Value>{net.y}, cpu);
  const Tensor x = filled(net.x.shape(), 1);
  CHECK_THROWS_WITH_AS(program.bind(other.x, x), doctest::Contains("another graph"), Error);
  CHECK_THROWS_WITH_AS(program.bind(Value{}, x), doctest::Contains("program: an empty value"), Error);
  program.bind(net.x, x);
  program.run();
  CHECK_THROWS_WITH_AS(std::ignore = program.read(other.y), doctest::Contains("another graph"), Error);
  CHECK_THROWS_WITH_AS(std::ignore = program.read(Value{}), doctest::Contains("program: an empty value"), Error);
}

TEST_CASE("a program says what is missing instead of reading zeros") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3}}, Rate::batch),
              y = graph.input("y", {DType::f32, {3}}, Rate::batch);
  const Value hidden = exp(x), out = hidden * y + 1.0;
  CpuBackend cpu;
  Program program = Program::compile(graph, std::vector<Value>{out}, cpu);
  program.bind(x, filled({3}, 1));
  CHECK_THROWS_WITH_AS(program.run(), "program: input 'y' was never bound", Error);
  program.bind(y, filled({3}, 1));
  CHECK_THROWS_WITH_AS(std::ignore = program.read(out), doctest::Contains("has not run"), Error);
  program.run();
  CHECK(program.read(x).data<float>()[0] == filled({3}, 1).data<float>()[0]);
  CHECK_THROWS_WITH_AS(std::ignore = program.read(hidden), doctest::Contains("no output of this program"), Error);
}

TEST_CASE("a program that draws says what its seed is when nobody bound it") {
  Graph graph;
  const Value noise = random(graph, Distribution::normal, 0, {3});
  CpuBackend cpu;
  Program program = Program::compile(graph, {noise}, cpu);
  CHECK_THROWS_WITH_AS(
      program.run(),
      "program: input 'rng_seed' was never bound; random layers draw by it: i64[2], a seed and the number of the step",
      Error);
  Program constant_one = Program::compile(graph, {constant(graph, 1.0)}, cpu);
  CHECK_THROWS_WITH_AS(constant_one.bind("x", filled({3}, 1)), "program: has no input called 'x'; it has none at all",
                       Error);
}

TEST_CASE("results can be read when the graph is gone") {
  auto net = std::make_unique<SmallNet>();
  CpuBackend cpu;
  Program program = Program::compile(net->graph, std::vector<Value>{net->y}, cpu);
  const Value x = net->x, y = net->y;
  const Shape shape = y.shape();
  net.reset();
  program.bind(x, filled(shape, 1));
  program.run();
  CHECK(program.read(y).shape() == shape);
}

TEST_CASE("inputs that change seldom are seen when they do") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2}}, Rate::batch);
  const Value slow = graph.input("slow", {DType::f32, {2}}, Rate::step);
  const Value fixed = graph.input("fixed", {DType::f32, {2}}, Rate::constant);
  const Value y = x + slow * 2.0 + exp(fixed) + slow * fixed;
  CpuBackend cpu;
  Program program = Program::compile(graph, std::vector<Value>{y}, cpu);
  for (const float value : {1.0f, 2.0f, 3.0f})
    for (const char* changed : {"x", "slow", "fixed"}) {
      const Tensor to = Tensor::of<float>({2}, std::vector<float>{value, -value});
      if (value == 1.0f)
        for (const char* name : {"x", "slow", "fixed"}) program.bind(name, to);
      program.bind(changed, to);
      program.run();
      ReferenceBackend reference;
      Bindings values;
      for (const Value input : {x, slow, fixed}) values.emplace(graph.input_name(input.ref.node), program.read(input));
      CHECK(normalised_error(program.read(y), interpret(graph, std::vector{y}, values, reference)[0]) < 1e-6);
    }
}
