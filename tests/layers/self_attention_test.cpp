#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/gradcheck.h"
#include "core/row_rule.h"
#include "evaluate.h"
#include "layers/attention.h"
#include "layers/dsl.h"

using namespace deq;
using namespace deq::layers_tests;

namespace {

constexpr int kBatch = 2, kLength = 5, kWidth = 6, kHeads = 3, kSize = kWidth / kHeads;

/// Rows [n,kWidth] times the `part`-th of the maps in `store`, by plain loops.
std::vector<double> mapped(const ParameterStore& store, const std::string& weight, const std::string& bias,
                           const std::vector<double>& rows, std::size_t part) {
  const auto w = store.find(weight).value->data<float>(), b = store.find(bias).value->data<float>();
  std::vector<double> out;
  for (std::size_t row = 0; row < rows.size() / kWidth; ++row)
    for (std::size_t j = part * kWidth; j < (part + 1) * kWidth; ++j) {
      double sum = b[j];
      for (std::size_t i = 0; i < kWidth; ++i) sum += rows[row * kWidth + i] * w[j * kWidth + i];
      out.push_back(sum);
    }
  return out;
}

/// What a causal SelfAttention of the parameters in `store` makes of x [kBatch,kLength,kWidth].
std::vector<double> plain_attention(const ParameterStore& store, const std::vector<double>& x) {
  const auto q = mapped(store, "in_proj_weight", "in_proj_bias", x, 0);
  const auto k = mapped(store, "in_proj_weight", "in_proj_bias", x, 1);
  const auto v = mapped(store, "in_proj_weight", "in_proj_bias", x, 2);
  std::vector<double> heard(x.size());
  for (std::size_t b = 0; b < kBatch; ++b)
    for (std::size_t head = 0; head < kHeads; ++head)
      for (std::size_t t = 0; t < kLength; ++t) {
        const auto at = [&](std::size_t row) { return (b * kLength + row) * kWidth + head * kSize; };
        double total = 0;
        for (std::size_t s = 0; s <= t; ++s) {
          double score = 0;
          for (std::size_t i = 0; i < kSize; ++i) score += q[at(t) + i] * k[at(s) + i];
          const double power = std::exp(score / std::sqrt(static_cast<double>(kSize)));
          total += power;
          for (std::size_t i = 0; i < kSize; ++i) heard[at(t) + i] += power * v[at(s) + i];
        }
        for (std::size_t i = 0; i < kSize; ++i) heard[at(t) + i] /= total;
      }
  return mapped(store, "out_proj.weight", "out_proj.bias", heard, 0);
}

/// A causal layer and its result.
struct Attending {
  explicit Attending(layers::AttentionOptions options = {.is_causal = true})
      : store(11), layer(ParamScope(store), kWidth, kHeads, options) {
    x = graph.input("x", {DType::f32, {kBatch, kLength, kWidth}}, Rate::batch);
  }
  ParameterStore store;
  layers::SelfAttention layer;
  Graph graph;
  Value x;
};

std::vector<double> doubles(const Tensor& tensor) {
  const auto values = tensor.data<float>();
  return {values.begin(), values.end()};
}

Tensor wide(const Tensor& narrow) {
  Tensor out(DType::f64, narrow.shape());
  std::ranges::copy(narrow.data<float>(), out.data<double>().begin());
  return out;
}

}  // namespace

TEST_CASE("self-attention is what plain loops make of its parameters") {
  Attending at;
  const Value y = at.layer(at.x);
  const Tensor x = wave({kBatch, kLength, kWidth});
  const std::vector<double> expected = plain_attention(at.store, doubles(x));
  CHECK(max_difference(evaluate(y, {{"x", x}}), expected) < 1e-7);  // -1e9 + score is rounded in the mask's type

  CpuBackend cpu;
  Program program = Program::compile(at.graph, {y}, cpu);
  program.bind("x", x);
  program.run();
  CHECK(max_difference(doubles(program.read(y)), expected) < 1e-6);
}

TEST_CASE("under causal attention no row hears a later one, and without it every row does") {
  for (const bool is_causal : {true, false}) {
    Attending at({.is_causal = is_causal});
    const Value y = at.layer(at.x);
    Tensor x = wave({kBatch, kLength, kWidth});
    const std::vector<double> before = evaluate(y, {{"x", x}});
    constexpr std::size_t kChanged = 3;  // of the first sample
    x.data<float>()[kChanged * kWidth + 2] += 0.5F;
    const std::vector<double> after = evaluate(y, {{"x", x}});
    for (std::size_t row = 0; row < kBatch * kLength; ++row) {
      CAPTURE(row);
      bool is_same = true;
      for (std::size_t i = row * kWidth; i < (row + 1) * kWidth; ++i) is_same = is_same && before[i] == after[i];
      const bool may_hear = row < kLength && (row >= kChanged || !is_causal);
      CHECK(is_same == !may_hear);
    }
  }
}

TEST_CASE("a mask of one's own joins the causal one: padding is not heard") {
  Attending at;
  const Value padding = at.graph.input("padding", {DType::f32, {kBatch, 1, 1, kLength}}, Rate::batch);
  const Value y = at.layer(at.x, padding);
  Tensor hidden(DType::f32, {kBatch, 1, 1, kLength}), x = wave({kBatch, kLength, kWidth});
  hidden.data<float>()[1] = -1e9F;  // row 1 of the first sample
  const std::vector<double> before = evaluate(y, {{"x", x}, {"padding", hidden}});
  x.data<float>()[1 * kWidth] += 0.5F;
  const std::vector<double> after = evaluate(y, {{"x", x}, {"padding", hidden}});
  for (std::size_t i = 2 * kWidth; i < before.size(); ++i) CHECK(before[i] == after[i]);
}

TEST_CASE("self-attention differentiates as finite differences do, once and twice") {
  Attending at;
  const std::vector<std::string> names{"x", "in_proj_weight", "in_proj_bias", "out_proj.weight"};
  Bindings bindings{{"x", wide(wave({kBatch, kLength, kWidth}))}};
  for (const std::string& name : names)
    if (name != "x") bindings.emplace(name, wide(*at.store.find(name).value));
  const std::vector<Value> y{at.layer(at.x)};
  const GradcheckReport once = gradcheck(y, bindings, names);
  INFO(once.worst);
  CHECK(once.checks > 50);
  CHECK(once.worst_error < 1e-6);

  const std::vector<Value> slope = gradients(sum(square(y[0])), std::vector<Value>{at.x}, {.differentiable = true});
  const GradcheckReport twice = gradcheck(slope, bindings, names);
  INFO(twice.worst);
  CHECK(twice.worst_error < 1e-6);
}

TEST_CASE("self-attention refuses what does not fit, by name") {
  ParameterStore store;
  const ParamScope scope(store);
  CHECK_THROWS_WITH_AS(layers::SelfAttention(scope / "mix", 6, 4),
                       "self_attention: width 6 does not divide into 4 heads (layer 'mix')", Error);
  CHECK_THROWS_AS(layers::SelfAttention(scope / "mix", 6, 0), Error);
  CHECK(store.entries().empty());
  const layers::SelfAttention layer(scope / "mix", 6, 3, {.has_bias = false});
  CHECK(store.trainable_elements() == 4 * 6 * 6);
  Graph graph;
  CHECK_THROWS_WITH((void)layer(graph.input("x", {DType::f32, {2, 6}}, Rate::batch)),
                    doctest::Contains("is not [batch, length, 6] (layer 'mix')"));
  CHECK_THROWS_WITH((void)layers::causal_mask(graph, 0), doctest::Contains("at least one row"));
}
