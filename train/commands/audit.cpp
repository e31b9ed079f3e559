#include "train/commands/audit.h"

#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "core/error.h"
#include "data/loader.h"
#include "data/npy.h"
#include "data/safetensors.h"
#include "train/audit.h"
#include "train/audit_chart.h"
#include "train/datasets.h"
#include "train/interrupt.h"
#include "train/json_text.h"
#include "train/make_backend.h"
#include "train/output_folder.h"
#include "train/progress.h"

namespace deq {
namespace {

/// The configured solver with the limits that are asked for; what the checkpoint says of the backward's is too coarse.
SolverConfig audit_solver(const AuditRequest& request, SolverConfig solver, const GivenKeys& given) {
  for (const char* key : {"solver.tolerance", "solver.backward_tolerance"})
    if (request.tolerance) require_unset(given, key, "--tol");
  for (const char* key : {"solver.max_steps", "solver.backward_max_steps"})
    if (request.max_steps) require_unset(given, key, "--max-steps");
  if (!given.contains("solver.backward_tolerance"))
    solver.backward_tolerance = request.tolerance.value_or(kExactTolerance);
  if (!given.contains("solver.backward_max_steps")) solver.backward_max_steps = request.max_steps.value_or(kExactSteps);
  if (request.tolerance) solver.tolerance = *request.tolerance;
  if (request.max_steps) solver.max_steps = *request.max_steps;
  return solver;
}

std::vector<AuditBatch> tensor_batches(const AuditRequest& request, const Model& model) {
  const Tensor x = read_npy(request.tensor);
  require(x.shape().rank() == 4, request.tensor.string(), "is ", x.type(), ", needs f32[N,C,H,W]");
  const std::int64_t images = x.shape()[0];
  require(images > 0, request.tensor.string(), "holds no image: it is ", x.type());
  const int batch = request.batch > 0 ? request.batch : static_cast<int>(images);
  std::vector<AuditBatch> out = audit_batches(model, x, read_npy(request.labels), batch);
  const auto wanted = static_cast<std::size_t>(request.batches);
  require(wanted <= out.size(), "--batches", counted(request.batches, "batch"), " of ", counted(batch, "image"),
          ", but the tensor holds ", counted(images, "image"));
  if (wanted > 0)
    out.resize(wanted);
  else if (const std::int64_t left_out = images % batch; left_out > 0)
    std::cerr << "warning: the last " << left_out << " of " << images << " images are left out: they fill no batch of "
              << batch << "\n";
  return out;
}

/// The first training images in order, without augmentation.
std::vector<AuditBatch> data_batches(const AuditRequest& request, const Config& config, const GivenKeys& given) {
  const auto dataset = open_split(config, Split::train, data_folder(request.data, config.data.path, given));
  const int batch = request.batch > 0 ? request.batch : config.train.batch_size;
  const int batches = request.batches > 0 ? request.batches : 1;
  require(static_cast<std::int64_t>(batch) * batches <= dataset->size(), "--batches", counted(batches, "batch"), " of ",
          counted(batch, "image"), ", but the training split holds ", dataset->size());
  Loader loader(dataset, {.batch_size = batch, .is_training = false, .threads = config.data.threads});
  std::vector<AuditBatch> out;
  for (int i = 0; i < batches; ++i) {
    const Batch& next = loader.next();
    out.push_back({.images = next.images.clone(), .labels = next.labels.clone()});
  }
  return out;
}

void save_gradients(const std::filesystem::path& folder, const EstimatorAudit& audit) {
  SafetensorsFile file{.tensors = audit.gradients, .metadata = {{"estimator", audit.name}}};
  file.tensors.insert_or_assign("loss", Tensor::of<float>(Shape{1}, {static_cast<float>(audit.loss)}));
  write_safetensors(folder / (audit.name + ".safetensors"), file);
}

/// What an audit found; `differences` is absent when none were asked for.
struct AuditReport {
  AuditResult result;
  std::optional<DifferenceCheck> differences;
};

nlohmann::ordered_json audit_json(const AuditReport& report) {
  const AuditResult& result = report.result;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const EstimatorAudit& audit : result.estimators)
    list.push_back({{"name", audit.name},
                    {"relative_error", audit.relative_error},
                    {"cosine", audit.cosine},
                    {"norm_ratio", audit.norm_ratio},
                    {"adjoint_relative_error", audit.adjoint_relative_error},
                    {"adjoint_cosine", audit.adjoint_cosine},
                    {"map_calls", audit.map_calls},
                    {"vjp_calls", audit.vjp_calls},
                    {"milliseconds", audit.milliseconds},
                    {"extra_bytes", audit.extra_bytes},
                    {"fallback_fraction", audit.fallback_fraction},
                    {"loss", audit.loss}});
  nlohmann::ordered_json out = {{"forward", {{"residual", result.forward_residual}}},
                                {"exact", {{"residual", result.exact_residual}, {"calls", result.exact_calls}}},
                                {"estimators", list}};
  if (const auto& check = report.differences)
    out["finite_difference"] = {{"relative_difference", check->relative_difference},
                                {"uncertainty", check->uncertainty},
                                {"directions", check->directions},
                                {"forward_residual", check->forward_residual}};
  return out;
}

void print_text(const AuditReport& report) {
  const AuditResult& result = report.result;
  std::cout << "forward residual " << result.forward_residual << "; exact adjoint: residual " << result.exact_residual
            << " after " << counted(result.exact_calls, "product") << "\n"
            << std::left;
  if (const auto& check = report.differences)
    std::cout << "exact gradient against central differences of the loss: relative difference "
              << check->relative_difference << " (uncertainty " << check->uncertainty << ", "
              << counted(check->directions, "direction") << ", forward residual " << check->forward_residual << ")\n";
  const auto row = [](const std::string& name, const auto&... cells) {
    std::cout << std::setw(21) << name;
    ((std::cout << std::setw(11) << cells), ...);
    std::cout << "\n";
  };
  std::cout << std::setprecision(3);
  row("estimator", "error", "cosine", "norm ratio", "adj. error", "adj. cos.", "f calls", "J^T calls", "fallback", "ms",
      "extra MiB");
  for (const EstimatorAudit& audit : result.estimators)
    row(audit.name, audit.relative_error, audit.cosine, audit.norm_ratio, audit.adjoint_relative_error,
        audit.adjoint_cosine, audit.map_calls, audit.vjp_calls, audit.fallback_fraction, audit.milliseconds,
        static_cast<double>(audit.extra_bytes) / (1 << 20));
}

/// Errors against an adjoint that is far from solved are no errors.
void warn_of_unsolved(const AuditResult& result, const SolverConfig& solver) {
  constexpr double kUsable = 1e-3;
  const double residual = result.exact_residual;
  if (residual <= std::max(kUsable, solver.backward_tolerance)) return;
  std::cerr << "warning: the exact adjoint is not solved: "
            << (std::isnan(residual) ? "it diverged" : concat("residual ", residual)) << " after " << result.exact_calls
            << " products, tolerance " << solver.backward_tolerance
            << "; what the estimators are compared with is not exact. More --max-steps may help, or further training\n";
}

/// Differences that half the step changes say nothing of the gradient.
void warn_of_uncertainty(const AuditReport& report) {
  constexpr double kSure = 0.1;
  if (!report.differences || report.differences->uncertainty < kSure) return;
  std::cerr << "warning: the differences of the loss are sure to " << report.differences->uncertainty
            << " only and prove nothing of the exact gradient: the loss is not smooth at their step, or the forward is "
               "not solved (residual "
            << report.differences->forward_residual << "). More --max-steps may help, or further training\n";
}

}  // namespace

int run_audit(const AuditRequest& request) {
  check_readable(request.checkpoint);
  LoadedModel loaded = load_model(request.checkpoint);
  const bool is_tensor = !request.tensor.empty();
  const GivenKeys given = override_checkpoint(loaded, request.overrides,
                                              is_tensor ? CheckpointUse::audit_tensor : CheckpointUse::audit_set);
  const Model& model = *loaded.model;
  const SolverConfig solver = audit_solver(request, model.config.solver, given);
  const std::vector<AuditBatch> batches =
      is_tensor ? tensor_batches(request, model) : data_batches(request, model.config, given);
  check_output_file(request.plot, "--plot");
  if (!request.save_gradients.empty()) make_output_folder(request.save_gradients, "--save-gradients");
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, model.config.compute);
  const InterruptGuard guard;
  Progress progress(progress_style(request.run.is_quiet));
  const auto goes_on = [](auto...) { return !is_interrupted(); };
  AuditReport report;
  report.result = audit_gradients(
      model, *backend, batches,
      {.estimators = request.estimators, .solver = solver, .progress = [&](std::int64_t done, std::int64_t total) {
         progress.update({.step = done, .total = total, .phase = "audit"});
         return goes_on();
       }});
  if (request.differences > 0 && goes_on())
    report.differences = check_gradient(model, *backend, batches.front(), solver,
                                        {.directions = request.differences, .progress = goes_on});
  progress.finish();
  if (is_interrupted()) return kInterruptedStatus;
  warn_of_unsolved(report.result, solver);
  warn_of_uncertainty(report);
  if (!request.save_gradients.empty())
    for (const EstimatorAudit& audit : report.result.estimators) save_gradients(request.save_gradients, audit);
  if (!request.plot.empty()) write_chart(audit_chart(report.result), request.plot);
  if (request.run.is_json)
    std::cout << json_text(audit_json(report));
  else
    print_text(report);
  return 0;
}

}  // namespace deq
