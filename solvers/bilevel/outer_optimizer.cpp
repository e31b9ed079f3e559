#include "solvers/bilevel/outer_optimizer.h"

#include <cmath>

#include "core/error.h"
#include "solvers/bilevel/elra.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

class GradientDescentOptimizer final : public OuterOptimizer {
 public:
  explicit GradientDescentOptimizer(const GradientDescent& options) : rate_(options.rate) {
    check(rate_ > 0.0, "GradientDescent", "rate is ", rate_, "; it must be positive");
  }
  void step(double /*value*/, ConstVector gradient, Vector lambda) override { add_scaled(-rate_, gradient, lambda); }

 private:
  double rate_;
};

class AdamOptimizer final : public OuterOptimizer {
 public:
  AdamOptimizer(const AdamDescent& options, std::int64_t size) : options_(options), mean_(size), square_(size) {
    const auto is_fraction = [](double beta) { return 0.0 <= beta && beta < 1.0; };
    check(options.rate > 0.0 && options.epsilon > 0.0 && is_fraction(options.beta1) && is_fraction(options.beta2),
          "AdamDescent", "rate is ", options.rate, ", beta1 ", options.beta1, ", beta2 ", options.beta2,
          " and epsilon ", options.epsilon, "; rate and epsilon must be positive, the betas in [0, 1)");
  }
  void step(double /*value*/, ConstVector gradient, Vector lambda) override {
    ++steps_;
    const double mean_share = 1.0 - std::pow(options_.beta1, steps_);
    const double square_share = 1.0 - std::pow(options_.beta2, steps_);
    for (std::size_t i = 0; i < lambda.size(); ++i) {
      mean_[i] = options_.beta1 * mean_[i] + (1.0 - options_.beta1) * gradient[i];
      square_[i] = options_.beta2 * square_[i] + (1.0 - options_.beta2) * gradient[i] * gradient[i];
      lambda[i] -= options_.rate * (mean_[i] / mean_share) / (std::sqrt(square_[i] / square_share) + options_.epsilon);
    }
  }

 private:
  AdamDescent options_;
  std::vector<double> mean_, square_;
  int steps_ = 0;
};

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

std::string_view name_of(const OuterMethod& method) {
  return std::visit(Overloaded{[](const GradientDescent&) { return std::string_view("gd"); },
                               [](const AdamDescent&) { return std::string_view("adam"); },
                               [](const ElraDescent&) { return std::string_view("elra"); }},
                    method);
}

std::unique_ptr<OuterOptimizer> make_outer_optimizer(const OuterMethod& method, std::int64_t size) {
  check(size >= 1, "make_outer_optimizer", "lambda has ", size, " entries; at least 1 is needed");
  using Made = std::unique_ptr<OuterOptimizer>;
  return std::visit(
      Overloaded{[](const GradientDescent& of) -> Made { return std::make_unique<GradientDescentOptimizer>(of); },
                 [size](const AdamDescent& of) -> Made { return std::make_unique<AdamOptimizer>(of, size); },
                 [size](const ElraDescent& of) -> Made { return std::make_unique<Elra>(of, size); }},
      method);
}

}  // namespace deq
