#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/backend.h"
#include "train/config.h"
#include "train/reachable_rates.h"

namespace deq {

/// Times and counters of a model on random input with fixed solver step counts. Milliseconds; medians unless said.
struct BenchmarkResult {
  int batch = 0;
  std::int64_t parameters = 0;
  double conv_unit_ms = 0;  ///< all convolutions of one f by oneDNN alone (f32, direct), same process and run
  /// The same by the policies of compute.convolution that oneDNN knows; without those this machine lacks.
  std::map<std::string, double> conv_floor_ms;
  double f_ms = 0, f_ms_min = 0, f_ms_max = 0;
  double vjp_ms = 0;                          ///< one v -> J^T v
  double solver_overhead_ms = 0;              ///< one solver update without f, mean over the steps of a solve
  double solver_overhead_share = 0;           ///< of one f in that solve
  std::size_t history_bytes = 0;              ///< the inverse estimate that training keeps
  std::map<std::string, double> step_ms;      ///< whole training step by estimator
  std::map<std::string, double> backward_ms;  ///< launches after the loss, without the optimiser, by estimator
  double optimizer_ms = 0;                    ///< the optimiser's launches of a step
  double inference_ms = 0;                    ///< one batch, forward only
  double inference_1_ms = 0;                  ///< one image, forward only
  int forward_steps = 0;
  double evaluations_saved = 0;            ///< share spared by compaction: 0, for all images take the same steps
  std::size_t peak_bytes = 0;              ///< largest training arena
  double allocations_per_step = 0;         ///< requests to the heap in one replayed training step
  double vendor_allocations_per_step = 0;  ///< those from inside oneDNN
  int launches = 0;                        ///< of a training step outside loops
  int inference_launches = 0;              ///< of an inference outside its loop, each time
  int parameter_launches = 0;              ///< of an inference when parameters are new: weight norm, packing, ..
  int map_launches = 0;                    ///< of one f
  std::size_t map_bytes = 0;               ///< moved by one f when launches read inputs and write outputs once
  double map_flops = 0;                    ///< of the convolutions of one f
  ReachableRates rates;                    ///< of the device, in the same run
  std::int64_t host_waits_per_solve = 0;   ///< times that a forward solve waits for the device; 0 on the CPU
};

struct BenchmarkOptions {
  int batch = 32;
  int repeats = 5;
  std::vector<std::string> estimators{"shine"};
};

/// Measures `config` on `backend`.
BenchmarkResult run_benchmark(const Config& config, Backend& backend, const BenchmarkOptions& options);

}  // namespace deq
