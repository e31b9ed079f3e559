#include "solvers/bilevel/margin_problem.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {

MarginProblem::MarginProblem(BilevelSamples samples, PenaltyGroups groups, std::unique_ptr<const MarginLoss> loss)
    : loss_(std::move(loss)),
      penalty_(groups, std::max<std::int64_t>(1, samples.train.features.columns())),
      train_(std::move(samples.train), "training samples"),
      validation_(std::move(samples.validation), "validation samples") {
  check(groups != PenaltyGroups::per_class, "bi-level problem",
        "two classes have one weight vector; no penalty per class");
  if (samples.test.features.rows() > 0) test_.emplace(std::move(samples.test), "test samples");
  check(validation_.features() == train_.features() && (!test_ || test_->features() == train_.features()),
        "bi-level problem", "training samples have ", train_.features(), " features, validation samples ",
        validation_.features(), test_ ? concat(", test samples ", test_->features()) : "");
}

double MarginProblem::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  if (const auto strength = penalty_.common_strength(lambda))
    return train_.gradient(*loss_, w, *strength, gradient) + 0.5 * *strength * dot(w, w);
  const double loss = train_.gradient(*loss_, w, 0.0, gradient);
  return loss + penalty_.add_gradient(w, lambda, gradient);
}

void MarginProblem::hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) {
  if (const auto strength = penalty_.common_strength(lambda))
    return train_.hessian_product(*loss_, w, v, *strength, out);
  train_.hessian_product(*loss_, w, v, 0.0, out);
  penalty_.add_product(lambda, v, out);
}

void MarginProblem::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  penalty_.cross_product(w, lambda, q, out);
}

double MarginProblem::outer(ConstVector w, ConstVector /*lambda*/, Vector gradient_w, Vector gradient_lambda) {
  std::ranges::fill(gradient_lambda, 0.0);
  return validation_.gradient(*loss_, w, 0.0, gradient_w);
}

double MarginProblem::test(ConstVector w) { return test_ ? test_->value(*loss_, w) : BilevelProblem::test(w); }

bool MarginProblem::known_diagonal(ConstVector lambda, Vector out) {
  penalty_.diagonal(lambda, out);
  return true;
}

double MarginProblem::accuracy(const Samples& part, ConstVector w) {
  std::vector<double> margins(part.labels.size());
  part.features.multiply(w, margins);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < margins.size(); ++i) right += (margins[i] > 0) == (part.labels[i] > 0) ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(margins.size());
}

}  // namespace deq
