#include "solvers/bilevel/data_cleaning.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace deq {

DataCleaning::DataCleaning(BilevelSamples samples, int classes, double log_penalty)
    : train_(std::move(samples.train), classes, "training samples"),
      validation_(std::move(samples.validation), classes, "validation samples"),
      penalty_(PenaltyGroups::shared, train_.features() * classes, classes),
      log_penalty_(log_penalty),
      weights_(train_.samples()) {
  if (samples.test.features.rows() > 0) test_.emplace(std::move(samples.test), classes, "test samples");
  check(validation_.features() == train_.features() && (!test_ || test_->features() == train_.features()),
        "bi-level problem", "training samples have ", train_.features(), " features, validation samples ",
        validation_.features(), test_ ? concat(", test samples ", test_->features()) : "");
  check(std::isfinite(std::exp(log_penalty)), "data cleaning", "log-penalty ", log_penalty, " overflows");
}

void DataCleaning::set_weights(ConstVector lambda) {
  check(lambda.size() == weights_.size(), "data cleaning", lambda.size(), " weights for ", weights_.size(),
        " training samples");
  std::ranges::transform(lambda, weights_.begin(), [](double logit) { return 1 / (1 + std::exp(-logit)); });
}

double DataCleaning::inner(ConstVector w, ConstVector lambda, Vector gradient) {
  set_weights(lambda);
  const double loss = train_.gradient(w, weights_, gradient);
  return loss + penalty_.add_gradient(w, {&log_penalty_, 1}, gradient);
}

void DataCleaning::hessian_product(ConstVector w, ConstVector lambda, ConstVector v, Vector out) {
  set_weights(lambda);
  train_.hessian_product(w, weights_, v, out);
  penalty_.add_product({&log_penalty_, 1}, v, out);
}

void DataCleaning::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  set_weights(lambda);
  train_.slopes_along(w, q, out);
  for (std::size_t i = 0; i < weights_.size(); ++i) out[i] *= weights_[i] * (1 - weights_[i]);
}

double DataCleaning::outer(ConstVector w, ConstVector /*lambda*/, Vector gradient_w, Vector gradient_lambda) {
  std::ranges::fill(gradient_lambda, 0.0);
  return validation_.gradient(w, {}, gradient_w);
}

double DataCleaning::test(ConstVector w) { return test_ ? test_->value(w) : BilevelProblem::test(w); }

bool DataCleaning::known_diagonal(ConstVector /*lambda*/, Vector out) {
  penalty_.diagonal({&log_penalty_, 1}, out);
  return true;
}

}  // namespace deq
