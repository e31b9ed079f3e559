#include <doctest/doctest.h>

#include <cmath>

#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/interpreter.h"
#include "core/reference/backend.h"
#include "tests/op_cases/allocation_counter.h"

using namespace deq;

namespace {

// Relative to the largest element: sums of up to 300 products in float32 are off by about sqrt(300) * 6e-8.
constexpr double kProductError = 3e-6;

Tensor ramp(Shape shape, int step) {
  Tensor out(DType::f32, shape);
  int state = 0;
  for (float& value : out.data<float>()) {
    state = (state + step) % 251;
    value = static_cast<float>(state - 125) / 125.0f;
  }
  return out;
}

double relative_difference(const Tensor& found, const Tensor& wanted) {
  double difference = 0, scale = 0;
  for (std::size_t i = 0; i < found.data<float>().size(); ++i) {
    difference = std::max(difference, std::abs(found.data<float>()[i] - wanted.data<double>()[i]));
    scale = std::max(scale, std::abs(wanted.data<double>()[i]));
  }
  return difference / (scale + 1e-30);
}

struct Product {
  std::int64_t count, m, k, n;
};

void expect_product(const Product& product, bool transpose_a, bool transpose_b) {
  const Shape a = transpose_a ? Shape{product.count, product.k, product.m} : Shape{product.count, product.m, product.k};
  const Shape b = transpose_b ? Shape{product.count, product.n, product.k} : Shape{product.count, product.k, product.n};
  Graph graph;
  const Value c = matmul(graph.input("a", {DType::f32, a}, Rate::batch), graph.input("b", {DType::f32, b}, Rate::batch),
                         transpose_a, transpose_b);
  const Bindings bindings{{"a", ramp(a, 37)}, {"b", ramp(b, 101)}};
  ReferenceBackend reference;
  CpuBackend cpu;
  const std::vector<Value> outputs{c};
  CHECK(relative_difference(interpret(graph, outputs, bindings, cpu)[0],
                            interpret(graph, outputs, bindings, reference)[0]) < kProductError);
}

}  // namespace

TEST_CASE("matrix products agree with the reference for every transposition and batch") {
  const std::vector<Product> products{{1, 32, 300, 10}, {5, 7, 9, 3},  {3, 70, 64, 65},
                                      {6, 60, 40, 50},  {40, 4, 4, 4}, {2, 1, 1, 1}};
  for (const Product& product : products)
    for (int flags = 0; flags < 4; ++flags) {
      CAPTURE(product.m);
      CAPTURE(flags);
      expect_product(product, (flags & 1) != 0, (flags & 2) != 0);
    }
}

TEST_CASE("running a matrix product allocates nothing") {
  CpuBackend cpu;
  for (const std::int64_t count : {1, 8}) {
    const Op op = MatMul{};
    const std::vector<TensorType> inputs{{DType::f32, {count, 33, 40}}, {DType::f32, {count, 40, 20}}};
    const std::vector<TensorType> outputs{{DType::f32, {count, 33, 20}}};
    const std::vector<std::uint8_t> is_used{1};
    const std::string label;
    const auto kernel =
        cpu.lower({.op = op, .inputs = inputs, .outputs = outputs, .output_used = is_used, .label = label});
    Tensor a(inputs[0]), b(inputs[1]), c(outputs[0]);
    const std::vector<const void*> addresses{a.raw(), b.raw()};
    void* result = c.raw();
    kernel->bind(addresses, std::span<void* const>(&result, 1), nullptr);
    kernel->run();
    const std::size_t before = tests::allocations();
    kernel->run();
    CHECK(tests::allocations() == before);
  }
}
