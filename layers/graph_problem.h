#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/graph.h"
#include "core/interpreter.h"
#include "solvers/bilevel/problem.h"

namespace deq {

/// The scalars of a bi-level problem, traced from w [d] and lambda [p].
struct BilevelLosses {
  Value inner;      ///< r(w, lambda)
  Value outer;      ///< F(w, lambda)
  Value test = {};  ///< loss on data that neither level has seen; may be empty
};
using TraceBilevel = std::function<BilevelLosses(Value w, Value lambda)>;

/// A bi-level problem written as graph code: the gradient of r, Hessian and cross products (derivatives of the
/// gradient) and the gradients of F come from autodiff, so that nothing but the two losses has to be written.
///
///   const TraceBilevel ridge = [](Value w, Value lambda) {           // X w = y with the penalty e^lambda |w|^2 / 2
///     const auto misfit = [&](const std::string& part) {
///       const Value x = w.graph->input(part + ".x", {DType::f32, {n, d}}, Rate::batch);
///       const Value y = w.graph->input(part + ".y", {DType::f32, {n, 1}}, Rate::batch);
///       return 0.5 * sum(square(matmul(x, reshape(w, {d, 1})) - y));
///     };
///     return BilevelLosses{.inner = misfit("train") + 0.5 * sum(exp(lambda)) * sum(square(w)),
///                          .outer = misfit("validation")};
///   };
///   GraphProblem problem(d, 1, ridge, data);                         // data: "train.x" and so on
///
/// Losses may hold equilibria, in Mode::training: implicit layers whose weights the inner level fits. Their products
/// are as good as the policy's solves, and the Hessian symmetric only under `exact`.
///
/// Evaluated in double by the reference backend: for problems of some thousand weights, and to check hand-written ones
/// against. A value that is not finite is returned as it is. Vectors of another length than the problem's are an Error.
/// One thread at a time may use an object.
class GraphProblem final : public BilevelProblem {
 public:
  /// @param trace  builds the losses on the graph of `w` (w.graph); its further inputs are bound from `data`, by name;
  ///               the names "w", "lambda" and "direction" are taken
  /// @param mode   of the graph: what dropout, batch norm and equilibria go by
  /// @throws Error when a size is below 1, a loss is not a scalar, `inner` does not depend on w, an operation cannot be
  ///               differentiated twice, or an input has no value
  GraphProblem(std::int64_t inner_size, std::int64_t outer_size, const TraceBilevel& trace, const Bindings& data = {},
               Mode mode = Mode::inference);
  ~GraphProblem() override;

  [[nodiscard]] std::int64_t inner_size() const override { return inner_size_; }
  [[nodiscard]] std::int64_t outer_size() const override { return outer_size_; }
  double inner(ConstVector w, ConstVector lambda, Vector gradient) override;
  void hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) override;
  void cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) override;
  double outer(ConstVector w, ConstVector lambda, Vector gradient_w, Vector gradient_lambda) override;
  double test(ConstVector w) override;

 private:
  class Evaluation;
  /// `part` evaluated there.
  const Evaluation& at(Evaluation& part, ConstVector w, ConstVector lambda);

  std::int64_t inner_size_;
  std::int64_t outer_size_;
  std::unique_ptr<Backend> backend_;
  Graph graph_;
  Value w_, lambda_, direction_;
  std::unique_ptr<Evaluation> inner_, hessian_product_, cross_product_, outer_, test_;
};

}  // namespace deq
