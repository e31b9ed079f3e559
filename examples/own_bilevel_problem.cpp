// Hyper-parameters of a problem of your own: write its two losses as graph code, and every product that a bi-level
// method needs comes from autodiff. Here: Huber-like regression with one penalty for each feature, tuned on held-out
// samples by HOAG (conjugate gradients) and by SHINE (the inverse that L-BFGS already has).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "core/builder.h"
#include "layers/graph_problem.h"
#include "solvers/bilevel/hoag.h"

namespace {

using namespace deq;

constexpr std::int64_t kSamples = 40, kFeatures = 12, kUseful = 4;

/// sum sqrt(1 + (x^T w - y)^2) over the samples of `part`.
Value misfit(Value w, const std::string& part) {
  const Value x = w.graph->input(part + ".x", {DType::f32, {kSamples, kFeatures}}, Rate::batch);
  const Value y = w.graph->input(part + ".y", {DType::f32, {kSamples, 1}}, Rate::batch);
  return sum(sqrt(square(matmul(x, reshape(w, {kFeatures, 1})) - y) + 1.0));
}

BilevelLosses trace(Value w, Value lambda) {
  return {.inner = misfit(w, "train") + 0.5 * sum(exp(lambda) * square(w)),
          .outer = misfit(w, "validation"),
          .test = misfit(w, "test")};
}

/// Only the first features matter; the penalties of the others should grow.
Bindings draw_data() {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  Bindings data;
  for (const std::string part : {"train", "validation", "test"}) {
    std::vector<double> x(kSamples * kFeatures), y(kSamples);
    for (double& value : x) value = normal(random);
    for (std::int64_t i = 0; i < kSamples; ++i) {
      y[i] = 2.0 * normal(random);
      for (std::int64_t j = 0; j < kUseful; ++j) y[i] += 2.0 * x[i * kFeatures + j];
    }
    data[part + ".x"] = Tensor::of(Shape{kSamples, kFeatures}, x);
    data[part + ".y"] = Tensor::of(Shape{kSamples, 1}, y);
  }
  return data;
}

double mean(const std::vector<double>& values, std::int64_t first, std::int64_t last) {
  double total = 0;
  for (std::int64_t i = first; i < last; ++i) total += values[i];
  return total / static_cast<double>(last - first);
}

}  // namespace

int main() {
  GraphProblem problem(kFeatures, kFeatures, trace, draw_data());
  bool is_good = true;
  for (const char* const name : {"hoag", "shine", "shine-refine"}) {
    HoagOptions options{.lower = {.method = method_preset(name).value()}, .tolerance = {.initial = 1e-4}};
    options.step = AdamDescent{.rate = 0.2};
    options.points = 40;
    const OuterResult result =
        run_hoag(problem, std::vector<double>(kFeatures, 0.0), std::vector<double>(kFeatures, 0.0), options);
    const OuterPoint &first = result.trace[1], &last = result.trace.back();
    const double useful = mean(last.lambda, 0, kUseful), useless = mean(last.lambda, kUseful, kFeatures);
    std::printf(
        "%-13s validation %.3f -> %.3f, test %.3f -> %.3f; log penalty %.2f of useful features, %.2f of others; "
        "%lld gradients, %lld Hessian products\n",
        name, first.validation_loss, last.validation_loss, first.test_loss, last.test_loss, useful, useless,
        static_cast<long long>(last.count.inner_gradients), static_cast<long long>(last.count.hessian_products));
    is_good &= last.validation_loss < first.validation_loss && last.test_loss < first.test_loss && useful < useless;
  }
  return is_good ? 0 : 1;
}
