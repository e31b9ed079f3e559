#include "solvers/bilevel/multinomial_logistic_regression.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.h"

namespace deq {

MultinomialLogisticRegression::MultinomialLogisticRegression(BilevelSamples samples, int classes, PenaltyGroups groups)
    : train_(std::move(samples.train), classes, "training samples"),
      validation_(std::move(samples.validation), classes, "validation samples"),
      penalty_(groups, train_.features() * classes, classes) {
  if (samples.test.features.rows() > 0) test_.emplace(std::move(samples.test), classes, "test samples");
  check(validation_.features() == train_.features() && (!test_ || test_->features() == train_.features()),
        "bi-level problem", "training samples have ", train_.features(), " features, validation samples ",
        validation_.features(), test_ ? concat(", test samples ", test_->features()) : "");
}

double MultinomialLogisticRegression::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  const double loss = train_.gradient(w, {}, gradient);
  return loss + penalty_.add_gradient(w, lambda, gradient);
}

void MultinomialLogisticRegression::hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) {
  train_.hessian_product(w, {}, v, out);
  penalty_.add_product(lambda, v, out);
}

void MultinomialLogisticRegression::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  penalty_.cross_product(w, lambda, q, out);
}

double MultinomialLogisticRegression::outer(ConstVector w, ConstVector /*lambda*/, Vector gradient_w,
                                            Vector gradient_lambda) {
  std::ranges::fill(gradient_lambda, 0.0);
  return validation_.gradient(w, {}, gradient_w);
}

double MultinomialLogisticRegression::test(ConstVector w) { return test_ ? test_->value(w) : BilevelProblem::test(w); }

bool MultinomialLogisticRegression::known_diagonal(ConstVector lambda, Vector out) {
  penalty_.diagonal(lambda, out);
  return true;
}

double MultinomialLogisticRegression::accuracy(const Samples& part, int classes, ConstVector w) {
  std::vector<double> scores(part.labels.size() * classes);
  part.features.multiply_block(classes, w, scores);
  std::int64_t right = 0;
  for (std::size_t i = 0; i < part.labels.size(); ++i) {
    const auto row = std::span(scores).subspan(i * classes, classes);
    right += static_cast<double>(std::ranges::max_element(row) - row.begin()) == part.labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(part.labels.size());
}

}  // namespace deq
