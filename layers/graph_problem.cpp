#include "layers/graph_problem.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "core/error.h"
#include "core/program.h"
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

/// Some values as functions of w, lambda and a direction.
class GraphProblem::Evaluation {
 public:
  Evaluation(const Graph& graph, std::vector<Value> outputs, Backend& backend, const Bindings& data)
      : program_(Program::compile(graph, outputs, backend)), outputs_(std::move(outputs)) {
    for (const auto& [name, value] : data)
      if (program_.has_input(name)) program_.bind(name, value);
    for (const Value& output : outputs_) results_.emplace_back(DType::f64, output.shape());
  }

  /// Errors: `values` has another size than the input.
  void set(Value input, ConstVector values) {
    const Shape& shape = input.shape();
    check(static_cast<std::int64_t>(values.size()) == shape.elements(), "graph problem", "'",
          input.graph->input_name(input.ref.node), "' has ", shape.elements(), " entries, given ", values.size());
    const std::string& name = input.graph->input_name(input.ref.node);
    if (program_.has_input(name)) program_.bind(name, Tensor::of(shape, values));
  }
  void run() {
    program_.run();
    for (std::size_t i = 0; i < outputs_.size(); ++i) program_.read(outputs_[i], results_[i]);
  }
  [[nodiscard]] const Tensor& operator[](std::size_t output) const { return results_[output]; }

 private:
  Program program_;
  std::vector<Value> outputs_;
  std::vector<Tensor> results_;
};

GraphProblem::GraphProblem(std::int64_t inner_size, std::int64_t outer_size, const TraceBilevel& trace,
                           const Bindings& data, Mode mode)
    : inner_size_(inner_size), outer_size_(outer_size), backend_(std::make_unique<ReferenceBackend>()), graph_(mode) {
  check(inner_size >= 1 && outer_size >= 1, "graph problem", "sizes ", inner_size, " and ", outer_size,
        "; both must be 1 or more");
  w_ = graph_.input("w", {DType::f32, Shape{inner_size}}, Rate::batch);
  lambda_ = graph_.input("lambda", {DType::f32, Shape{outer_size}}, Rate::batch);
  direction_ = graph_.input("direction", {DType::f32, Shape{inner_size}}, Rate::batch);
  const BilevelLosses losses = trace(w_, lambda_);
  check_scalar(losses.inner, "inner");
  check_scalar(losses.outer, "outer");
  if (!losses.test.is_empty()) check_scalar(losses.test, "test");

  const Value slope = gradients(losses.inner, {w_}, {.differentiable = true})[0];
  check(!slope.is_empty(), "graph problem", "the inner loss does not depend on w");
  // H is symmetric, so the transposed product that reverse mode gives is the product itself.
  const auto compile = [&](std::vector<Value> outputs) {
    return std::make_unique<Evaluation>(graph_, std::move(outputs), *backend_, data);
  };
  inner_ = compile({losses.inner, slope});
  hessian_product_ = compile({product_along(slope, direction_, w_)});
  cross_product_ = compile({product_along(slope, direction_, lambda_)});
  const std::vector<Value> outer = gradients_or_zeros(losses.outer, {w_, lambda_});
  outer_ = compile({losses.outer, outer[0], outer[1]});
  if (!losses.test.is_empty()) test_ = compile({losses.test});

  // Finds inputs without a value now.
  const std::vector<double> w(static_cast<std::size_t>(inner_size)), lambda(static_cast<std::size_t>(outer_size));
  for (Evaluation* const part : {inner_.get(), outer_.get(), test_.get()})
    if (part != nullptr) at(*part, w, lambda);
}

GraphProblem::~GraphProblem() = default;

const GraphProblem::Evaluation& GraphProblem::at(Evaluation& part, ConstVector w, ConstVector lambda) {
  part.set(w_, w);
  part.set(lambda_, lambda);
  part.run();
  return part;
}

double GraphProblem::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  const Evaluation& results = at(*inner_, w, lambda);
  copy_out(results[1], gradient);
  return scalar_of(results[0]);
}

void GraphProblem::hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) {
  hessian_product_->set(direction_, v);
  copy_out(at(*hessian_product_, w, lambda)[0], out);
}

void GraphProblem::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  cross_product_->set(direction_, q);
  copy_out(at(*cross_product_, w, lambda)[0], out);
}

double GraphProblem::outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) {
  const Evaluation& results = at(*outer_, w, lambda);
  copy_out(results[1], gradient_w);
  copy_out(results[2], gradient_lambda);
  return scalar_of(results[0]);
}

double GraphProblem::test(ConstVector w) {
  if (test_ == nullptr) return BilevelProblem::test(w);
  test_->set(w_, w);
  test_->run();
  return scalar_of((*test_)[0]);
}

}  // namespace deq
