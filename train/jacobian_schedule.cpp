#include "train/jacobian_schedule.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"

namespace deq {
namespace {

/// Out of reach of the sites of a graph, which count from 0, and of layers, which have the top bit set.
constexpr std::uint32_t kSite = 0x7FFFFFFF;
constexpr double kIncrement = 0.1;
constexpr double kLargestChange = 2;
constexpr double kLargestScale = 64;

}  // namespace

double JacobianSchedule::weight(std::int64_t step, std::int64_t epoch) const {
  if (step < train_.pretrain_steps) return train_.jacobian_pretrain_weight;
  if (train_.jacobian_stop_epoch > 0 && epoch >= train_.jacobian_stop_epoch) return 0;
  double weight = train_.jacobian_weight;
  if (train_.jacobian_increment_every > 0) {
    const std::int64_t increments = (step - train_.pretrain_steps) / train_.jacobian_increment_every;
    weight += kIncrement * static_cast<double>(increments);
  }
  return weight * scale_;
}

JacobianDraw JacobianSchedule::draw(std::int64_t step, std::int64_t epoch) const {
  const double weight_now = weight(step, epoch);
  const RandomStream stream{static_cast<std::uint64_t>(train_.seed), static_cast<std::uint64_t>(step), kSite};
  if (!(weight_now > 0) || uniform(stream, 0) >= train_.jacobian_frequency)
    return {.weight = 0, .max_steps = max_steps_};
  const int delta = train_.random_max_steps_delta;
  const int jitter = static_cast<int>(uniform(stream, 1) * (delta + 2)) - delta;
  return {.weight = weight_now, .max_steps = std::max(1, max_steps_ + jitter)};
}

void JacobianSchedule::observe(double radius) {
  if (!(train_.jacobian_target_radius > 0) || !std::isfinite(radius)) return;
  const double ratio = radius / train_.jacobian_target_radius;
  const double change = std::clamp(ratio * ratio, 1 / kLargestChange, kLargestChange);
  scale_ = std::clamp(scale_ * change, 1 / kLargestScale, kLargestScale);
}

bool has_jacobian_penalty(const TrainConfig& train, bool is_pretraining) {
  if (!(train.jacobian_frequency > 0)) return false;
  if (is_pretraining) return train.jacobian_pretrain_weight > 0;
  return train.jacobian_weight > 0 || train.jacobian_increment_every > 0;
}

bool has_jacobian_penalty(const TrainConfig& train) {
  return has_jacobian_penalty(train, true) || has_jacobian_penalty(train, false);
}

}  // namespace deq
