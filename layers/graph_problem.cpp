#include "layers/graph_problem.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/error.h"
#include "core/reference/backend.h"

namespace deq {
namespace {

/// The derivative in `wrt`, which is a gradient or empty; zeros where nothing depends on it.
Value product_along(Value gradient, Value direction, Value wrt) {
  const Value product = vjp(std::vector<Value>{gradient}, std::vector<Value>{direction}, std::vector<Value>{wrt})[0];
  return product.is_empty() ? constant(wrt.owner("graph problem"), 0, wrt.shape()) : product;
}

void check_scalar(Value loss, const char* what) {
  check(!loss.is_empty() && loss.shape().rank() == 0, "graph problem", "the ", what,
        " loss must be a scalar of the traced graph");
}

void copy_out(const Tensor& from, Vector out) {
  const auto values = from.data<double>();
  check(out.size() == values.size(), "graph problem", "room for ", out.size(), " numbers, but the result has ",
        values.size());
  std::ranges::copy(values, out.begin());
}

double scalar_of(const Tensor& from) { return from.data<double>()[0]; }

}  // namespace

GraphProblem::GraphProblem(std::int64_t inner_size, std::int64_t outer_size, const TraceBilevel& trace, Bindings data)
    : inner_size_(inner_size),
      outer_size_(outer_size),
      backend_(std::make_unique<ReferenceBackend>()),
      bindings_(std::move(data)) {
  check(inner_size >= 1 && outer_size >= 1, "graph problem", "sizes ", inner_size, " and ", outer_size,
        "; both must be 1 or more");
  const Value w = graph_.input("w", {DType::f32, Shape{inner_size}}, Rate::batch);
  const Value lambda = graph_.input("lambda", {DType::f32, Shape{outer_size}}, Rate::batch);
  const Value direction = graph_.input("direction", {DType::f32, Shape{inner_size}}, Rate::batch);
  losses_ = trace(w, lambda);
  check_scalar(losses_.inner, "inner");
  check_scalar(losses_.outer, "outer");
  if (!losses_.test.is_empty()) check_scalar(losses_.test, "test");

  inner_gradient_ = gradients(losses_.inner, std::vector<Value>{w})[0];
  check(!inner_gradient_.is_empty(), "graph problem", "the inner loss does not depend on w");
  // H is symmetric, so the transposed product that reverse mode gives is the product itself.
  hessian_product_ = product_along(inner_gradient_, direction, w);
  cross_product_ = product_along(inner_gradient_, direction, lambda);
  const auto outer = gradients_or_zeros(losses_.outer, std::vector<Value>{w, lambda});
  outer_gradient_w_ = outer[0];
  outer_gradient_lambda_ = outer[1];

  const std::vector<double> zeros(std::max(inner_size, outer_size));
  set("w", ConstVector(zeros).first(inner_size));
  set("lambda", ConstVector(zeros).first(outer_size));
  set("direction", ConstVector(zeros).first(inner_size));
  // Finds inputs without a value, or with one of the wrong shape, now.
  evaluate({losses_.inner, losses_.outer});
  if (!losses_.test.is_empty()) evaluate({losses_.test});
}

GraphProblem::~GraphProblem() = default;

void GraphProblem::set(const std::string& name, ConstVector values) {
  const Shape& shape = graph_.find(name).shape();
  check(static_cast<std::int64_t>(values.size()) == shape.elements(), "graph problem", "'", name, "' has ",
        shape.elements(), " entries, given ", values.size());
  bindings_[name] = Tensor::of(shape, values);
}

std::vector<Tensor> GraphProblem::evaluate(std::initializer_list<Value> outputs) {
  return interpret(graph_, std::span(outputs.begin(), outputs.size()), bindings_, *backend_);
}

double GraphProblem::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  set("w", w);
  set("lambda", lambda);
  const auto results = evaluate({losses_.inner, inner_gradient_});
  copy_out(results[1], gradient);
  return scalar_of(results[0]);
}

void GraphProblem::hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) {
  set("w", w);
  set("lambda", lambda);
  set("direction", v);
  copy_out(evaluate({hessian_product_})[0], out);
}

void GraphProblem::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  set("w", w);
  set("lambda", lambda);
  set("direction", q);
  copy_out(evaluate({cross_product_})[0], out);
}

double GraphProblem::outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) {
  set("w", w);
  set("lambda", lambda);
  const auto results = evaluate({losses_.outer, outer_gradient_w_, outer_gradient_lambda_});
  copy_out(results[1], gradient_w);
  copy_out(results[2], gradient_lambda);
  return scalar_of(results[0]);
}

double GraphProblem::test(ConstVector w) {
  if (losses_.test.is_empty()) return BilevelProblem::test(w);
  set("w", w);
  return scalar_of(evaluate({losses_.test})[0]);
}

}  // namespace deq
