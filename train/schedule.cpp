#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace deq {

Schedule::Schedule(const ScheduleConfig& config, double lr, std::int64_t total_steps)
    : is_cosine_(config.name == "cosine"),
      warmup_steps_(config.warmup_steps),
      total_steps_(total_steps),
      lr_(lr),
      min_lr_(config.min_lr) {
  require(is_cosine_ || config.name == "constant", "schedule", "unknown name '", config.name,
          "', expected cosine or constant");
  require(total_steps >= 1, "schedule", "a run of ", total_steps, " steps has no schedule");
  require(warmup_steps_ <= total_steps, "schedule", "key 'schedule.warmup_steps' is ", warmup_steps_,
          " but the run has ", total_steps, " steps");
}

double Schedule::lr(std::int64_t step) const {
  double rate = lr_;
  if (is_cosine_) {
    const double progress = static_cast<double>(std::min(step, total_steps_)) / static_cast<double>(total_steps_);
    rate = min_lr_ + (lr_ - min_lr_) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
  if (step < warmup_steps_) rate *= static_cast<double>(step + 1) / static_cast<double>(warmup_steps_);
  return rate;
}

}  // namespace deq
