#include "train/commands/tune.h"

#include <cmath>
#include <iomanip>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "core/error.h"
#include "train/durable_file.h"
#include "train/interrupt.h"
#include "train/output_folder.h"
#include "train/progress.h"
#include "train/quality_report.h"
#include "train/tune_audit.h"
#include "train/tune_report.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t first_seed(const TuneRequest& request, int seeds) {
  const std::int64_t first = request.run.seed.value_or(0);
  require(first <= std::numeric_limits<std::uint32_t>::max() - seeds, "--seed", first, " leaves no room for ", seeds,
          " seeds below 2^32");
  return first;
}

int tune(const TuneRequest& request, const TuneConfig& config, const TuneData& data,
         const std::vector<std::string>& methods) {
  TuneRuns runs{.methods = methods, .out = request.out};
  runs.seeds = request.seeds > 0 ? request.seeds : config.outer.seeds;
  runs.first_seed = first_seed(request, runs.seeds);
  prepare_tune_folder(config, runs.out);
  Progress progress(progress_style(request.run.is_quiet));
  runs.progress = [&](const TuneTrace& trace, const OuterPoint& point, std::int64_t done, std::int64_t total) {
    const std::string phase = concat(trace.method, " seed ", trace.seed);
    progress.update({.step = done * config.outer.points + point.outer,
                     .total = total * config.outer.points,
                     .phase = phase,
                     .loss = point.validation_loss,
                     .solver_steps = static_cast<double>(point.inner_iterations),
                     .residual = point.inner_residual});
  };
  runs.note = [&](const std::string& line) { progress.note(line); };
  runs.is_stopped = is_interrupted;
  const std::vector<TuneTrace> traces = run_tune(config, data, runs);
  progress.finish();
  if (is_interrupted()) {
    std::cerr << "deq: interrupted after " << traces.size() << " of " << runs.methods.size() * runs.seeds
              << " runs; the same command goes on from there\n";
    return kInterruptedStatus;
  }
  write_tune_summary(config, traces, runs.out);
  if (request.run.is_json)
    std::cout << traces_json(traces).dump(1) << "\n";
  else
    print_tune_report(std::cout, config, traces);
  write_tune_charts(config, traces, runs.out,
                    [](const std::string& line) { std::cerr << "warning: " << line << "\n"; });
  return 0;
}

Json audit_json(const TuneAudit& audit) {
  Json methods = Json::array();
  for (const HypergradientAudit& method : audit.methods)
    methods.push_back({{"name", method.method},
                       {"points", method.errors.size()},
                       {"relative_error", method.relative_error},
                       {"cosine", method.cosine},
                       {"norm_ratio", method.norm_ratio},
                       {"estimate_error", method.estimate_error},
                       {"inner_gradients", method.inner_gradients},
                       {"hessian_products", method.hessian_products},
                       {"seconds", method.seconds},
                       {"errors", method.errors}});
  return {{"points", audit.path.size()},
          {"exact", {{"inner_residual", audit.exact_inner_residual}, {"residual", audit.exact_adjoint_residual}}},
          {"methods", methods}};
}

void print_audit(const TuneAudit& audit) {
  std::cout << "medians over " << counted(audit.path.size(), "point") << "; exact: inner residual "
            << audit.exact_inner_residual << ", adjoint residual " << audit.exact_adjoint_residual << "\n"
            << "method            rel. error  cosine      norm ratio  at own w    gradients  products  seconds\n";
  for (const HypergradientAudit& method : audit.methods) {
    const std::size_t left_out = audit.path.size() - method.errors.size();
    std::cout << std::left << std::setw(18) << method.method;
    if (method.errors.empty()) {
      std::cout << "no point where the exact hypergradient and this one are finite and not zero\n";
      continue;
    }
    std::cout << std::setprecision(3) << std::setw(12) << method.relative_error << std::setw(12) << std::setprecision(6)
              << method.cosine << std::setw(12) << std::setprecision(4) << method.norm_ratio << std::setw(12)
              << std::setprecision(3) << method.estimate_error << std::setw(11) << method.inner_gradients
              << std::setw(10) << method.hessian_products << method.seconds;
    if (left_out > 0)
      std::cout << "  (" << counted(left_out, "point") << " left out: no finite hypergradient, or zero)";
    std::cout << "\n";
  }
}

int audit(const TuneRequest& request, const TuneConfig& config, const TuneData& data,
          const std::vector<std::string>& methods) {
  const std::int64_t seed = first_seed(request, 1);
  make_output_folder(request.out);
  Progress progress(progress_style(request.run.is_quiet));
  const TuneAudit result = audit_hypergradients(config, data.task(static_cast<std::uint32_t>(seed)), methods, seed,
                                                [&](std::int64_t done, std::int64_t total) {
                                                  progress.update({.step = done, .total = total, .phase = "audit"});
                                                  return !is_interrupted();
                                                });
  progress.finish();
  if (is_interrupted()) return kInterruptedStatus;
  write_durably(request.out / "audit.json", audit_json(result).dump(1) + "\n");
  if (request.run.is_json)
    std::cout << audit_json(result).dump(1) << "\n";
  else
    print_audit(result);
  return 0;
}

int inverse_quality(const TuneRequest& request, const TuneConfig& config, const TuneData& data) {
  make_output_folder(request.out);
  TuneConfig seeded = config;
  seeded.quality.seed = request.run.seed.value_or(config.quality.seed);
  const QualityReport report = measure_quality(seeded, data);
  write_quality_report(report, request.out);
  if (request.run.is_json)
    std::cout << quality_json(report).dump(1) << "\n";
  else
    print_quality(std::cout, report);
  return 0;
}

}  // namespace

int run_tune_command(const TuneRequest& request) {
  const TuneConfig config = load_tune_config(request.config);
  std::vector<std::string> methods = method_list(config.outer.methods, request.config.string());
  if (request.methods) methods = method_list(*request.methods, "--method");
  if (request.is_dry_run) {
    std::cout << write_tune_config(config);
    return 0;
  }
  // An audit without --method leaves out the searches of the configuration, which have no hypergradient.
  if (request.is_audit && !request.methods)
    std::erase_if(methods, [](const std::string& name) { return name == "grid" || name == "random"; });
  const InterruptGuard guard;
  const TuneData data(config, data_folder(request.data, config.data.path));
  if (request.is_audit) return audit(request, config, data, methods);
  if (request.is_inverse_quality) return inverse_quality(request, config, data);
  return tune(request, config, data, methods);
}

}  // namespace deq
