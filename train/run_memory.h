#pragma once

#include <cstddef>

#include "core/backend.h"
#include "train/model.h"
#include "train/optimizer.h"

namespace deq {

/// Memory of a training run, in bytes: parameters, the optimiser's moments, and the programs that are alive together
/// (training step, the same with the Jacobian penalty where it may be drawn, inference, stability monitor).
struct RunMemory {
  std::size_t peak_bytes = 0;
  std::size_t history_bytes = 0;  ///< what the forward solver remembers during the equilibrium phase
};

/// Plans every program of a run and allocates none.
/// @param pretrain_steps, total_steps  of the run
/// @param test_images                  bounds what the monitor measures at once
RunMemory plan_memory(const Model& model, const Optimizer& optimizer, Backend& backend, std::int64_t pretrain_steps,
                      std::int64_t total_steps, std::int64_t test_images);

/// Parameters, running statistics and moments.
std::size_t persistent_bytes(const Model& model, const Optimizer& optimizer);

}  // namespace deq
