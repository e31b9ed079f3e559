#include "core/interpreter.h"

#include <doctest/doctest.h>

#include <functional>

#include "core/builder.h"
#include "core/reference/backend.h"

using namespace deq;

namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("inputs may be given as f32 or f64 and outputs come as the reference keeps them") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {3}}, Rate::batch);
  const Value y = x * 2.0 + 1.0;
  ReferenceBackend backend;
  for (const bool is_double : {false, true}) {
    const Tensor given = is_double ? Tensor::of<double>({3}, {1, 2, 3}) : Tensor::of<float>({3}, {1, 2, 3});
    const Tensor result = interpret(graph, std::vector{y}, {{"x", given}}, backend).front();
    REQUIRE(result.dtype() == DType::f64);
    for (std::size_t i = 0; i < 3; ++i) CHECK(result.data<double>()[i] == 2.0 * static_cast<double>(i + 1) + 1.0);
  }
}

TEST_CASE("parameters are read from their storage unless bound by name") {
  Graph graph;
  const auto storage = std::make_shared<Tensor>(Tensor::of<float>({2}, {3, 4}));
  const Value w = graph.parameter("w", storage);
  const Value y = w * w;
  ReferenceBackend backend;
  CHECK(interpret(graph, std::vector{y}, {}, backend).front().data<double>()[1] == 16);
  const Tensor other = Tensor::of<double>({2}, {5, 6});
  CHECK(interpret(graph, std::vector{y}, {{"w", other}}, backend).front().data<double>()[1] == 36);
}

TEST_CASE("a missing or ill-typed input is an error that names it") {
  Graph graph;
  const Value x = graph.input("image", {DType::f32, {2}}, Rate::batch);
  const Value y = copy(x);
  ReferenceBackend backend;
  const auto run = [&](const Bindings& bindings) {
    return message_of([&] { (void)interpret(graph, std::vector{y}, bindings, backend); });
  };
  CHECK(contains(run({}), "'image'"));
  CHECK(contains(run({{"image", Tensor(DType::f32, {3})}}), "f32[2]"));
  CHECK(contains(run({{"image", Tensor(DType::i32, {2})}}), "i32[2]"));
}

TEST_CASE("the first node that produces inf or nan is named with its op and layer") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {2}}, Rate::batch);
  Value y = x + 1.0;
  {
    const Scope scope(graph, "stem");
    y = log(y);
  }
  const Value z = y * y;
  ReferenceBackend backend;
  const Bindings bad{{"x", Tensor::of<double>({2}, {0, -3})}};
  const std::string message =
      message_of([&] { (void)interpret(graph, std::vector{z}, bad, backend, {.stop_at_nonfinite = true}); });
  CHECK(contains(message, "node " + std::to_string(y.ref.node)));
  CHECK(contains(message, "stem"));
  CHECK_NOTHROW((void)interpret(graph, std::vector{z}, bad, backend));
}

TEST_CASE("only what the outputs need is run") {
  Graph graph;
  const Value x = graph.input("x", {DType::f32, {1}}, Rate::batch);
  const Value unbound = graph.input("unbound", {DType::f32, {1}}, Rate::batch);
  (void)(unbound * 2.0);
  const Value y = x * 3.0;
  ReferenceBackend backend;
  const Tensor two = Tensor::of<float>({1}, {2});
  CHECK(interpret(graph, std::vector{y}, {{"x", two}}, backend).front().data<double>()[0] == 6);
}
