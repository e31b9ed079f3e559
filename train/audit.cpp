#include "train/audit.h"

#include <algorithm>

#include "core/error.h"
#include "solvers/names.h"
#include "train/interrupt.h"
#include "train/loss.h"

namespace deq {
namespace {

// Of the check by differences: where f32 stops gaining, and images enough to see an error.
constexpr double kTightTolerance = 1e-6;
constexpr int kTightSteps = 100;
constexpr int kTightPatience = 20;
constexpr std::int64_t kDifferenceImages = 8;

/// A model of its own without dropout, as the audit takes it.
struct Subject {
  explicit Subject(const Model& model) : copy(without_dropout(model.config)) {
    copy_tensors(model.tensors(), copy.tensors(), "audit");
  }
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  static Config without_dropout(Config config) {
    config.model.dropout = 0;
    return config;
  }
  [[nodiscard]] AuditedModel audited(int batch) const {
    return {.parameters = &copy.store,
            .loss =
                [this, batch](Graph& graph, const AuditPolicy& policy) {
                  const Shape shape = copy.image_shape(batch);
                  const Value image = graph.input("image", {DType::f32, shape}, Rate::batch);
                  const TrainingLoss loss_of(copy,
                                             graph.input("label", {DType::i32, copy.label_shape(shape)}, Rate::batch));
                  MdeqForward forward;
                  forward.equilibrium.policy = policy;
                  forward.outer_loss = loss_of;
                  const Mdeq::Output output = copy.network(image, forward);
                  return AuditedLoss{loss_of(output.logits), {*output.equilibrium}};
                },
            .stop = &interrupt_flag()};
  }

  Model copy;
};

AuditInputs inputs_of(const AuditBatch& batch) { return {{"image", batch.images}, {"label", batch.labels}}; }

/// The first rows of a tensor.
template <class T>
Tensor first_rows(const Tensor& from, std::int64_t rows) {
  const std::int64_t row = from.shape().elements() / from.shape()[0];
  Tensor out(from.dtype(), from.shape().with(0, rows));
  std::copy_n(from.data<T>().begin(), rows * row, out.template data<T>().begin());
  return out;
}

}  // namespace

std::vector<std::string> audited_by_default() {
  std::vector<std::string> out;
  for (const char* name :
       {"exact",      "shine",        "shine-fallback",  "shine-refine-1",     "shine-refine-2", "shine-refine-5",
        "jfb",        "jfb-refine-1", "jfb-refine-2",    "jfb-refine-5",       "limited-2",      "limited-5",
        "limited-10", "neumann-2",    "neumann-5",       "phantom-2",          "phantom-5",      "unrolled-2",
        "unrolled-5", "nystrom-5",    "adjoint-broyden", "adjoint-broyden-opa"})
    if (is_adjoint_name(name)) out.emplace_back(name);
  return out;
}

AuditResult audit_gradients(const Model& model, Backend& backend, const std::vector<AuditBatch>& batches,
                            const ModelAuditOptions& options) {
  require(!batches.empty(), "audit", "there is no batch to compare gradients on");
  std::vector<AuditedEstimator> estimators;
  for (const std::string& name : options.estimators) estimators.push_back({name, make_policy(options.solver, name)});
  const Subject subject(model);
  std::vector<AuditInputs> inputs;
  for (const AuditBatch& batch : batches) inputs.push_back(inputs_of(batch));
  const AuditedEstimator exact{"exact", make_policy(options.solver, "exact")};
  return audit(subject.audited(static_cast<int>(batches.front().images.shape()[0])), exact, estimators, inputs, backend,
               {.second_exact = make_gmres_policy(options.solver),
                .baseline = make_policy(options.solver, "jfb"),
                .progress = options.progress});
}

DifferenceCheck check_gradient(const Model& model, Backend& backend, const AuditBatch& batch,
                               const SolverConfig& solver, const DifferenceOptions& options) {
  const Subject subject(model);
  const std::int64_t count = std::min(kDifferenceImages, batch.images.shape()[0]);
  const AuditBatch part{.images = first_rows<float>(batch.images, count),
                        .labels = first_rows<std::int32_t>(batch.labels, count)};
  SolverConfig tight = solver;
  tight.mode = "rel";
  tight.tolerance = tight.backward_tolerance = kTightTolerance;
  tight.max_steps = tight.backward_max_steps = std::max(kTightSteps, solver.max_steps);
  tight.patience = kTightPatience;
  return check_by_differences(subject.audited(static_cast<int>(count)), make_policy(tight, "exact"), inputs_of(part),
                              backend, options);
}

}  // namespace deq
