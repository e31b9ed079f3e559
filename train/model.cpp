#include "train/model.h"

#include <algorithm>
#include <sstream>

#include "solvers/names.h"

namespace deq {

MdeqConfig network_config(const ModelConfig& model) {
  MdeqConfig out;
  out.task = model.task == "segmentation" ? MdeqTask::segmentation : MdeqTask::classification;
  out.classes = model.classes;
  out.channels = model.channels;
  out.blocks = model.num_blocks;
  out.big_kernels = model.big_kernels;
  out.head_channels = model.head_channels;
  out.final_channels = model.final_channels;
  out.expansion = model.expansion;
  out.downsample_times = model.downsample_times;
  out.groups = model.num_groups;
  out.block_norm_affine = model.block_gn_affine;
  out.fuse_norm_affine = model.fuse_gn_affine;
  out.post_norm_affine = model.post_gn_affine;
  out.weight_norm = model.weight_norm;
  out.dropout = model.dropout;
  out.batch_momentum = model.bn_momentum;
  out.validate();
  return out;
}

SolverOptions solver_options(const SolverConfig& solver) {
  SolverOptions out;
  out.method = method_from_name(solver.name);
  if (auto* picard = std::get_if<Picard>(&out.method)) picard->damping = solver.damping;
  if (auto* broyden = std::get_if<Broyden>(&out.method)) {
    broyden->memory = solver.memory;
    broyden->history = solver.history == "bfloat16" ? StepHistory::bf16 : StepHistory::full;
  }
  if (auto* adjoint = std::get_if<AdjointBroyden>(&out.method)) adjoint->memory = solver.memory;
  if (auto* krylov = std::get_if<NewtonKrylov>(&out.method); krylov && solver.memory > 0)
    krylov->inner_steps = solver.memory;
  if (auto* anderson = std::get_if<Anderson>(&out.method)) {
    if (solver.memory > 0) anderson->memory = solver.memory;
    anderson->mixing = solver.damping;
  }
  out.max_steps = solver.max_steps;
  out.tolerance = {.value = solver.tolerance, .mode = solver.mode == "abs" ? NormMode::absolute : NormMode::relative};
  out.patience = solver.patience;
  return out;
}

std::vector<SolverMethod> fallback_chain(const SolverConfig& solver) {
  if (solver.fallback == "none") return {};
  constexpr double kSafeDamping = 0.5;
  std::vector<SolverMethod> out;
  if (solver.fallback == "auto") {
    if (solver.name != "broyden" && solver.name != "broyden-lowrank") out.push_back(Broyden{.memory = solver.memory});
    out.push_back(Picard{.damping = kSafeDamping});
    return out;
  }
  std::istringstream names(solver.fallback);
  for (std::string name; std::getline(names, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    SolverConfig link = solver;
    link.name = name;
    if (name == "picard") link.damping = std::min(link.damping, kSafeDamping);
    out.push_back(solver_options(link).method);
  }
  return out;
}

std::shared_ptr<const ImplicitPolicy> make_policy(const SolverConfig& solver, const std::string& estimator) {
  AdjointOptions adjoint = adjoint_from_name(estimator);
  if (auto* full = std::get_if<FullAdjoint>(&adjoint)) {
    full->solver.max_steps = solver.backward_max_steps;
    full->solver.tolerance.value = solver.backward_tolerance;
  }
  if (auto* shared = std::get_if<SharedInverse>(&adjoint); shared && shared->max_gain > 0)
    shared->max_gain = solver.guard_gain;
  if (auto* phantom = std::get_if<Phantom>(&adjoint); phantom && phantom->damping < 1.0)
    phantom->damping = solver.phantom_damping;
  SolverOptions forward = solver_options(solver);
  forward.method = forward_method_of(estimator, forward.method, solver.memory);
  auto policy = std::make_shared<ImplicitPolicy>(forward, with_backward_method(adjoint, solver.backward));
  if (estimator != "gdeq") policy->fall_back_on(fallback_chain(solver));  // published without one
  return policy;
}

std::shared_ptr<const ImplicitPolicy> make_gmres_policy(const SolverConfig& solver) {
  const KrylovAdjoint gmres{.method = KrylovMethod::gmres,
                            .restart = solver.backward_max_steps,
                            .max_steps = solver.backward_max_steps,
                            .tolerance = {.value = solver.backward_tolerance}};
  auto policy = std::make_shared<ImplicitPolicy>(solver_options(solver), gmres);
  policy->fall_back_on(fallback_chain(solver));
  return policy;
}

std::shared_ptr<const ImplicitPolicy> make_inference_policy(const SolverConfig& solver) {
  SolverOptions options = solver_options(solver);
  options.time_budget_ms = solver.time_budget_ms;
  auto policy =
      std::make_shared<ImplicitPolicy>(options, JacobianFree{}, solver.compaction ? Compaction::on : Compaction::off);
  policy->fall_back_on(fallback_chain(solver));
  if (solver.warm_start) policy->start_warm();
  return policy;
}

Model::Model(const Config& chosen, ParameterStart start)
    : config(chosen),
      store(static_cast<std::uint64_t>(chosen.train.seed), start),
      network(ParamScope(store), network_config(chosen.model)) {}

NamedTensors Model::tensors() const {
  NamedTensors out;
  for (const ParameterEntry& entry : store.entries()) out.emplace(entry.name, *entry.value);
  return out;
}

Shape Model::image_shape(int batch) const {
  return {batch, config.data.image[0], config.data.image[1], network.config.image_channels};
}

Shape Model::evaluation_shape(int batch) const {
  const std::vector<int>& size = config.data.eval_image.empty() ? config.data.image : config.data.eval_image;
  return {batch, size[0], size[1], network.config.image_channels};
}

Shape Model::label_shape(const Shape& images) const {
  return is_segmentation() ? Shape{images[0], images[1], images[2]} : Shape{images[0]};
}

LoadedModel load_model(const std::filesystem::path& checkpoint) {
  LoadedModel out{.checkpoint = load_checkpoint(checkpoint), .model = nullptr};
  out.model = std::make_unique<Model>(out.checkpoint.config, ParameterStart::zeros);
  copy_tensors(out.checkpoint.model, out.model->tensors(), concat("checkpoint ", checkpoint.string()));
  out.checkpoint.model.clear();
  return out;
}

int unrolled_steps_of(const Checkpoint& checkpoint) {
  return checkpoint.training.phase == "pretrain" ? checkpoint.config.train.unroll_steps : 0;
}

}  // namespace deq
