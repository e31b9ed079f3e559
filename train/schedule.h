#pragma once

#include <cstdint>

#include "train/config.h"

namespace deq {

/// Learning rate as a function of the step alone, so a resumed run needs no state.
///
/// Cosine: lr_t = min_lr + (lr0 - min_lr) (1 + cos(pi t / T)) / 2 with t the steps already taken (the first step has
/// t = 0) and T = `total_steps`; after T it stays at min_lr. Constant: lr_t = lr0.
/// Warm-up: during the first `warmup_steps` the rate is multiplied by (t + 1) / warmup_steps.
/// Source: locuslab/deq, MDEQ-Vision (torch.optim.lr_scheduler.CosineAnnealingLR with eta_min 1e-6).
class Schedule {
 public:
  /// Errors (RequestError): unknown name, total_steps < 1, more warm-up than steps.
  Schedule(const ScheduleConfig& config, double lr, std::int64_t total_steps);

  /// @param step steps already taken, >= 0
  [[nodiscard]] double lr(std::int64_t step) const;

 private:
  bool is_cosine_;
  std::int64_t warmup_steps_;
  std::int64_t total_steps_;
  double lr_;
  double min_lr_;
};

}  // namespace deq
