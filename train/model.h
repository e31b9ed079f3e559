#pragma once

#include <memory>
#include <string>

#include "layers/mdeq/mdeq.h"
#include "layers/parameter.h"
#include "solvers/policy.h"
#include "train/checkpoint.h"
#include "train/config.h"

namespace deq {

/// The network's shape as the layers take it. Errors (RequestError): see MdeqConfig::validate.
MdeqConfig network_config(const ModelConfig& model);

/// Forward solver of the configuration. Errors (RequestError): unknown solver name.
SolverOptions solver_options(const SolverConfig& solver);

/// Solvers that samples go on with after a breakdown (SolverConfig::fallback). Errors (RequestError): unknown names.
std::vector<SolverMethod> fallback_chain(const SolverConfig& solver);

/// Solver and gradient estimator of the configuration; `estimator` is a name as in `deq audit`.
/// Errors (RequestError): unknown names.
std::shared_ptr<const ImplicitPolicy> make_policy(const SolverConfig& solver, const std::string& estimator);

/// As make_policy(solver, "exact"), whatever `solver.backward` is, by GMRES without restarts: more memory (a state a
/// step), and the residual never grows.
std::shared_ptr<const ImplicitPolicy> make_gmres_policy(const SolverConfig& solver);

/// The configuration's solver for inference: within its time budget, and with compaction where it asks for it. Training
/// has neither, so that a run depends on nothing but its configuration. Errors (RequestError): unknown solver name.
std::shared_ptr<const ImplicitPolicy> make_inference_policy(const SolverConfig& solver);

/// A configured network with its parameters.
struct Model {
  /// Fresh parameters, decided by `config.train.seed`; or zeros, for plans and for weights to come.
  explicit Model(const Config& config, ParameterStart start = ParameterStart::drawn);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  /// Name -> tensor of every parameter and running statistic; the tensors share the model's memory.
  [[nodiscard]] NamedTensors tensors() const;
  /// [batch, height, width, channels] of the configured images.
  [[nodiscard]] Shape image_shape(int batch) const;
  /// The same for evaluation: [batch, height, width, channels] of `data.eval_image` if there is one.
  [[nodiscard]] Shape evaluation_shape(int batch) const;
  /// [batch], or [batch, height, width] in segmentation, of the labels of images [batch, height, width, channels].
  [[nodiscard]] Shape label_shape(const Shape& images) const;
  [[nodiscard]] bool is_segmentation() const { return network.config.task == MdeqTask::segmentation; }

  Config config;
  ParameterStore store;
  Mdeq network;
};

/// The model a checkpoint holds, in inference form. Errors (RequestError): as load_checkpoint, or tensors that are
/// missing, surplus or misshapen for its configuration.
struct LoadedModel {
  Checkpoint checkpoint;  ///< without its tensors, which the model holds
  std::unique_ptr<Model> model;
};
LoadedModel load_model(const std::filesystem::path& checkpoint);

/// Applications of f by which a checkpoint saved during pre-training is to be evaluated; 0: solve.
int unrolled_steps_of(const Checkpoint& checkpoint);

}  // namespace deq
