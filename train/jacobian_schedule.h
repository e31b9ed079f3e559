#pragma once

#include <cstdint>

#include "train/config.h"

namespace deq {

/// What the Jacobian penalty does in one step.
struct JacobianDraw {
  double weight = 0;  ///< 0: the step has no penalty
  int max_steps = 0;  ///< limit of the forward solve
};

/// When and how strongly the Jacobian is penalised, and how far the forward solve goes meanwhile.
///
/// Weight: `jacobian_pretrain_weight` in pre-training; 0 from `jacobian_stop_epoch` on; else `jacobian_weight` plus 0.1
/// for every `jacobian_increment_every` equilibrium steps. A step is penalised with probability `jacobian_frequency`;
/// its solve then takes max_steps + d, d uniform on -random_max_steps_delta ... 1. Draws depend on seed and step alone.
///
/// With `jacobian_target_radius` > 0 the weight of the equilibrium phase is multiplied by a scale that follows the
/// measured spectral radius; the scale is the only state.
/// Source: locuslab/deq, MDEQ-Vision/lib/core (the schedule); the control by the radius is our own.
class JacobianSchedule {
 public:
  /// @param max_steps  of the forward solver
  JacobianSchedule(const TrainConfig& train, int max_steps) : train_(train), max_steps_(max_steps) {}

  /// @param step   optimiser steps already taken
  /// @param epoch  of this step, from 0
  [[nodiscard]] JacobianDraw draw(std::int64_t step, std::int64_t epoch) const;
  [[nodiscard]] double weight(std::int64_t step, std::int64_t epoch) const;
  /// Largest limit that `draw` asks for.
  [[nodiscard]] int largest_max_steps() const { return max_steps_ + 1; }

  /// Takes note of a measured spectral radius: the scale grows while it is above the target and shrinks while it is
  /// below, by (radius / target)^2, at most twofold a time and within 1/64 ... 64. NaN changes nothing.
  void observe(double radius);
  [[nodiscard]] double scale() const { return scale_; }
  void restore_scale(double scale) { scale_ = scale; }

 private:
  TrainConfig train_;
  int max_steps_;
  double scale_ = 1;
};

/// True when some step of the phase may be penalised.
bool has_jacobian_penalty(const TrainConfig& train, bool is_pretraining);
/// ... of either phase.
bool has_jacobian_penalty(const TrainConfig& train);

}  // namespace deq
