#include "layers/pixel_cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/gradcheck.h"
#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/cpu/backend.h"
#include "core/program.h"
#include "core/reference/backend.h"
#include "tests/layers/evaluate.h"

namespace deq {
namespace {

using layers_tests::evaluate;
using layers_tests::wave;

std::shared_ptr<Tensor> weights_of(std::vector<float> values) {
  auto out = std::make_shared<Tensor>(DType::f32, Shape{std::ssize(values), 1});
  std::ranges::copy(values, out->data<float>().begin());
  return out;
}

/// Labels 0 ... classes - 1 with -1, 255 and `classes` mixed in.
Tensor labels_of(Shape shape, int classes) {
  Tensor out(DType::i32, shape);
  const std::vector<std::int32_t> none{-1, 255, classes};
  for (std::size_t i = 0; i < out.data<std::int32_t>().size(); ++i)
    out.data<std::int32_t>()[i] =
        i % 5 == 3 ? none[i % 3] : static_cast<std::int32_t>(i * 7 % static_cast<std::size_t>(classes));
  return out;
}

struct Case {
  Shape scores, labels;
  std::vector<float> weights;
};

const std::vector<Case>& grid() {
  static const std::vector<Case> cases{{{2, 3, 4, 3}, {2, 6, 8}, {1, 1, 1}},
                                       {{1, 4, 5, 5}, {1, 4, 5}, {0.5F, 2, 1, 0, 3}},
                                       {{2, 2, 3, 2}, {2, 7, 9}, {0.25F, 4}},
                                       {{1, 1, 1, 4}, {1, 3, 2}, {1, 2, 3, 4}},
                                       {{1, 12, 16, 6}, {1, 48, 64}, {1, 1, 1, 2, 2, 2}}};
  return cases;
}

TEST_CASE("the loss is the weighted mean over the pixels that count, as it is written down") {
  Graph graph(Mode::training);
  const Value scores = graph.input("scores", {DType::f32, {1, 1, 4, 2}}, Rate::batch);
  const Value labels = graph.input("labels", {DType::i32, {1, 1, 4}}, Rate::batch);
  const auto loss = layers::pixel_cross_entropy(scores, labels, weights_of({1, 3})).loss;
  const Tensor values = wave({1, 1, 4, 2});
  Tensor truth(DType::i32, {1, 1, 4});
  for (std::size_t i = 0; i < 4; ++i) truth.data<std::int32_t>()[i] = std::vector<std::int32_t>{1, 255, 0, 1}[i];
  double total = 0;
  for (const std::size_t pixel : {0U, 2U, 3U}) {
    const double a = values.data<float>()[2 * pixel], b = values.data<float>()[2 * pixel + 1];
    const bool is_second = truth.data<std::int32_t>()[pixel] == 1;
    total += (is_second ? 3 : 1) * (std::log(std::exp(a) + std::exp(b)) - (is_second ? b : a));
  }
  // float32 values, sums of three terms in double.
  CHECK(evaluate(loss, {{"scores", values}, {"labels", truth}})[0] == doctest::Approx(total / 7).epsilon(1e-6));
}

TEST_CASE("scores are enlarged with their corners on the corners of the labels") {
  Graph graph(Mode::inference);
  const Value scores = graph.input("scores", {DType::f32, {1, 2, 2, 1}}, Rate::batch);
  Tensor values(DType::f32, {1, 2, 2, 1});
  for (std::size_t i = 0; i < 4; ++i) values.data<float>()[i] = std::vector<float>{0, 3, 6, 9}[i];
  const std::vector<double> large = evaluate(layers::enlarged_scores(scores, 4, 4), {{"scores", values}});
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 4; ++x) CHECK(large[static_cast<std::size_t>(4 * y + x)] == doctest::Approx(2 * y + x));
  CHECK(layers::enlarged_scores(scores, 2, 2).type() == scores.type());
}

TEST_CASE("the loss differentiates as finite differences do") {
  for (const Case& at : grid()) {
    if (at.labels.elements() > 1000) continue;
    INFO(at.scores);
    Graph graph(Mode::training);
    const Value scores = graph.input("scores", {DType::f32, at.scores}, Rate::batch);
    const Value labels = graph.input("labels", {DType::i32, at.labels}, Rate::batch);
    const std::vector<Value> loss{layers::pixel_cross_entropy(scores, labels, weights_of(at.weights)).loss};
    Tensor values(DType::f64, at.scores);
    const Tensor narrow = wave(at.scores);
    std::ranges::copy(narrow.data<float>(), values.data<double>().begin());
    const std::vector<std::string> names{"scores"};
    const GradcheckReport report =
        gradcheck(loss, {{"scores", values}, {"labels", labels_of(at.labels, static_cast<int>(at.scores[3]))}}, names);
    INFO(report.worst);
    CHECK(report.checks > 0);
    CHECK(report.worst_error < 1e-7);  // extrapolated differences in double
  }
}

TEST_CASE("loss and gradient are the same on the CPU as on the reference backend") {
  for (const Case& at : grid()) {
    INFO(at.scores);
    std::vector<std::vector<float>> results;
    for (const bool is_cpu : {true, false}) {
      Graph graph(Mode::training);
      const Value scores = graph.input("scores", {DType::f32, at.scores}, Rate::batch);
      const Value labels = graph.input("labels", {DType::i32, at.labels}, Rate::batch);
      const Value loss = layers::pixel_cross_entropy(scores, labels, weights_of(at.weights)).loss;
      const Value gradient = gradients(loss, std::vector{scores})[0];
      CpuBackend cpu;
      ReferenceBackend reference;
      Backend& backend = is_cpu ? static_cast<Backend&>(cpu) : reference;
      Program program = Program::compile(graph, std::vector{loss, gradient}, backend);
      program.bind(scores, wave(at.scores));
      program.bind(labels, labels_of(at.labels, static_cast<int>(at.scores[3])));
      program.run();
      const Tensor got = program.read(gradient);
      results.emplace_back(got.data<float>().begin(), got.data<float>().end());
      results.back().push_back(program.read(loss).data<float>()[0]);
    }
    float worst = 0, largest = 0;
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      worst = std::max(worst, std::abs(results[0][i] - results[1][i]));
      largest = std::max(largest, std::abs(results[1][i]));
    }
    // A few roundings of float32, more where thousands of pixels are summed.
    CHECK(worst < 2e-6F * largest);
  }
}

TEST_CASE("a batch in which no pixel counts has loss and gradient zero") {
  Graph graph(Mode::training);
  const Value scores = graph.input("scores", {DType::f32, {1, 2, 2, 3}}, Rate::batch);
  const Value labels = graph.input("labels", {DType::i32, {1, 4, 4}}, Rate::batch);
  const Value loss = layers::pixel_cross_entropy(scores, labels, weights_of({1, 1, 1})).loss;
  const Value gradient = gradients(loss, std::vector{scores})[0];
  Tensor none(DType::i32, {1, 4, 4});
  std::ranges::fill(none.data<std::int32_t>(), -1);
  const Bindings bindings{{"scores", wave({1, 2, 2, 3})}, {"labels", none}};
  CHECK(evaluate(loss, bindings)[0] == 0);
  for (const double g : evaluate(gradient, bindings)) CHECK(g == 0);
}

}  // namespace
}  // namespace deq
