#include "solvers/bilevel/elra.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

constexpr double kLeastRate = 1e-8, kMostRate = 1e6;
constexpr double kMostCaution = 855000.0, kMostTolerance = 500000.0;

}  // namespace

Elra::Elra(const ElraDescent& options, std::int64_t size)
    : offset_(options.offset),
      most_rise_(options.most_rise),
      longest_(options.most_step * std::sqrt(static_cast<double>(size))),
      rate_(options.first_rate),
      point_(size),
      gradient_(size),
      proposal_(size) {
  check(options.first_rate > 0.0 && options.most_rise >= 1.0 && options.most_step > 0.0, "Elra", "first_rate is ",
        options.first_rate, ", most_rise ", options.most_rise, " and most_step ", options.most_step,
        "; expected first_rate > 0, most_rise >= 1 and most_step > 0");
}

bool Elra::is_acceptable(double value) const {
  if (!has_point_) return true;
  const double best = std::max(best_, 0.0);
  const double band = 25.0 + (2500.0 + 71.0 * std::sqrt(best)) / (1.0 + std::sqrt(tolerance_));
  return value < band * 1.1 * best && value < limit_;
}

void Elra::step(double value, ConstVector gradient, Vector lambda) {
  check(gradient.size() == point_.size() && lambda.size() == point_.size(), "Elra::step", "the gradient has ",
        gradient.size(), " entries and lambda ", lambda.size(), ", expected ", point_.size());
  value += offset_;
  if (has_point_) respect_clipping(lambda);
  const bool is_finite = std::isfinite(value) && std::isfinite(norm(gradient));
  if (is_finite && is_acceptable(value))
    accept(value, gradient, lambda);
  else if (has_point_)
    reject(is_finite ? value : std::numeric_limits<double>::infinity(), lambda);
}

void Elra::respect_clipping(ConstVector lambda) {
  if (std::equal(lambda.begin(), lambda.end(), proposal_.begin())) return;
  combine(lambda, -1.0, point_, proposal_);
  const double gone = -dot(proposal_, gradient_) / dot(gradient_, gradient_);
  if (gone > 0.0) rate_ = std::clamp(gone, kLeastRate, kMostRate);
}

void Elra::accept(double value, ConstVector gradient, Vector lambda) {
  if (has_point_) {
    tolerance_ = value < previous_ ? tolerance_ / 1.69
                                   : std::min(kMostTolerance, tolerance_ < 1.0 ? tolerance_ + 16.0 : tolerance_ * 16.0);
    best_ = value < best_ ? value : 1.1 * best_;
    caution_ /= 3.9;
    const double growth = 1e6 / (1.0 + caution_);
    const double squared = dot(gradient_, gradient_);
    const double bend = squared > 0.0 ? 1.0 - dot(gradient, gradient_) / squared : 1.0;
    rate_ = std::clamp(growth * bend < 1.0 ? rate_ * growth : rate_ / bend, kLeastRate, kMostRate);
  } else {
    best_ = value;
    limit_ = most_rise_ * value;
    has_point_ = true;
  }
  previous_ = value;
  copy(lambda, point_);
  copy(gradient, gradient_);
  move(lambda);
}

void Elra::reject(double value, Vector lambda) {
  ++rejected_;
  caution_ = caution_ <= 1.0 ? caution_ + 16.0 : caution_ < 62500.0 ? caution_ * 16.0 : kMostCaution;
  const double squared = dot(gradient_, gradient_);
  const double denominator = value - previous_ + rate_ * squared;
  const double shorter =
      std::isfinite(denominator) && denominator > 0.0 ? 0.5 * rate_ * rate_ * squared / denominator : 0.1 * rate_;
  rate_ = std::clamp(shorter, kLeastRate, kMostRate);
  move(lambda);
}

void Elra::move(Vector lambda) {
  const double length = rate_ * norm(gradient_);
  if (length > longest_) rate_ *= longest_ / length;
  combine(point_, -rate_, gradient_, lambda);
  copy(lambda, proposal_);
}

}  // namespace deq
