#pragma once

#include <cstddef>

#include "core/backend.h"
#include "train/model.h"
#include "train/optimizer.h"

namespace deq {

/// Memory of a training run, in bytes.
struct RunMemory {
  std::size_t peak_bytes = 0;     ///< run_bytes of the larger phase
  std::size_t history_bytes = 0;  ///< what the forward solver remembers during the equilibrium phase
};

/// Plans every program of a run and allocates none.
/// @param pretrain_steps, total_steps  of the run
/// @param test_images                  bounds what the monitor measures at once
RunMemory plan_memory(const Model& model, const Optimizer& optimizer, Backend& backend, std::int64_t pretrain_steps,
                      std::int64_t total_steps, std::int64_t test_images);

/// Bytes of a run while a phase lasts: parameters, running statistics, the optimiser's moments, and the arena that the
/// phase's programs share (train/phase_programs.h).
std::size_t run_bytes(const Model& model, const Optimizer& optimizer, std::size_t arena_bytes);

}  // namespace deq
