#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/backend.h"
#include "train/config.h"
#include "train/initial_weights.h"

namespace deq {

/// What a run would do, without doing it.
struct RunPlan {
  std::int64_t parameters = 0;
  std::int64_t state_elements = 0;  ///< of one image
  std::int64_t pretrain_steps = 0;
  std::int64_t total_steps = 0;
  /// Parameters, moments and the programs that are alive together, at the worst moment of the run; see run_memory.h.
  std::size_t peak_bytes = 0;
  std::size_t history_bytes = 0;  ///< of it, what the forward solver remembers of its steps
  bool uses_host_memory = true;   ///< false on an accelerator with memory of its own
  std::int64_t train_images = 0;
  std::int64_t test_images = 0;
  InitialWeights start;               ///< set by who has read it
  std::string solver;                 ///< limits, tolerance, estimator
  std::vector<std::string> warnings;  ///< where the plan makes no sense
};

/// The part of the plan that needs no compilation: all but parameters and peak_bytes.
RunPlan outline(const Config& config, std::int64_t train_images, std::int64_t test_images);

/// Plans `config` on `backend`; compiles the programs but allocates none of their memory.
RunPlan plan_run(const Config& config, Backend& backend, std::int64_t train_images, std::int64_t test_images);

std::string plan_text(const Config& config, const RunPlan& plan);
std::string plan_json(const RunPlan& plan);

}  // namespace deq
