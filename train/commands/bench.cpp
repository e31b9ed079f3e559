#include "train/commands/bench.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "core/depth_first.h"
#include "train/benchmark.h"
#include "train/json_text.h"
#include "train/make_backend.h"

namespace deq {
namespace {

/// Of one f: all its bytes, then all its flops, at what this device reached in the same run.
double floor_ms(const BenchmarkResult& result) {
  return result.rates.floor_ms(static_cast<double>(result.map_bytes), result.map_flops);
}

void print_json(const BenchRequest& request, const Config& config, const BenchmarkResult& result) {
  const nlohmann::ordered_json json = {{"batch", result.batch},
                                       {"threads", request.run.threads > 0 ? request.run.threads : pool_threads()},
                                       {"device", name_of(request.run.device)},
                                       {"parameters", result.parameters},
                                       {"conv_unit_ms", result.conv_unit_ms},
                                       {"convolution", config.compute.convolution},
                                       {"conv_floor_ms", result.conv_floor_ms},
                                       {"f_ms", result.f_ms},
                                       {"f_ms_min", result.f_ms_min},
                                       {"f_ms_max", result.f_ms_max},
                                       {"vjp_ms", result.vjp_ms},
                                       {"solver_overhead_ms", result.solver_overhead_ms},
                                       {"solver_overhead_share", result.solver_overhead_share},
                                       {"history_bytes", result.history_bytes},
                                       {"step_ms", result.step_ms},
                                       {"backward_ms", result.backward_ms},
                                       {"optimizer_ms", result.optimizer_ms},
                                       {"inference_ms", result.inference_ms},
                                       {"inference_1_ms", result.inference_1_ms},
                                       {"forward_steps", result.forward_steps},
                                       {"evaluations_saved", result.evaluations_saved},
                                       {"peak_bytes", result.peak_bytes},
                                       {"allocations_per_step", result.allocations_per_step},
                                       {"vendor_allocations_per_step", result.vendor_allocations_per_step},
                                       {"launches", result.launches},
                                       {"inference_launches", result.inference_launches},
                                       {"parameter_launches", result.parameter_launches},
                                       {"map_launches", result.map_launches},
                                       {"map_bytes", result.map_bytes},
                                       {"map_flops", result.map_flops},
                                       {"reachable_bytes_per_s", result.rates.bytes_per_s},
                                       {"reachable_flops_per_s", result.rates.flops_per_s},
                                       {"map_floor_ms", floor_ms(result)},
                                       {"host_waits_per_solve", result.host_waits_per_solve}};
  std::cout << json_text(json);
}

void print_text(const Config& config, const BenchmarkResult& result) {
  const auto line = [&](const std::string& what, double ms) {
    std::cout << what << std::string(what.size() < 30 ? 30 - what.size() : 1, ' ') << ms << " ms, "
              << ms / result.conv_unit_ms << " units\n";
  };
  std::cout << "batch " << result.batch << ", " << result.parameters << " parameters, "
            << counted(result.forward_steps, "solver step") << ", convolutions " << config.compute.convolution << "\n";
  line("convolution unit", result.conv_unit_ms);
  for (const auto& [name, ms] : result.conv_floor_ms)
    if (name != "direct") line(concat("convolutions, oneDNN ", name), ms);
  line("f", result.f_ms);
  line("bytes and flops of f", floor_ms(result));
  line("vjp", result.vjp_ms);
  line("solver update without f", result.solver_overhead_ms);
  for (const auto& [name, ms] : result.step_ms) line("step, " + name, ms);
  for (const auto& [name, ms] : result.backward_ms) line("backward, " + name, ms);
  line("optimiser", result.optimizer_ms);
  line("inference", result.inference_ms);
  line("inference of one image", result.inference_1_ms);
  std::cout << "peak " << result.peak_bytes / (1 << 20) << " MiB, " << result.allocations_per_step
            << " allocations a step (and " << result.vendor_allocations_per_step << " inside oneDNN), "
            << result.map_launches << " launches an f\n"
            << "inference: " << result.inference_launches << " launches outside its loop, " << result.parameter_launches
            << " more once, when parameters are new\n";
}

}  // namespace

int run_bench(const BenchRequest& request) {
  const Config config = load_config(request.config, request.overrides);
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, config.compute);
  BenchmarkOptions options{.batch = request.batch > 0 ? request.batch : config.train.batch_size,
                           .repeats = request.repeats,
                           .estimators = request.estimators};
  if (options.estimators.empty()) options.estimators = {config.train.estimator};
  const BenchmarkResult result = run_benchmark(config, *backend, options);
  if (request.run.is_json)
    print_json(request, config, result);
  else
    print_text(config, result);
  return 0;
}

}  // namespace deq
