#include "train/run_memory.h"

#include <algorithm>

#include "train/correction.h"
#include "train/stability_monitor.h"
#include "train/step.h"

namespace deq {
namespace {

std::size_t bytes_of(const NamedTensors& tensors) {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += tensor.bytes();
  return bytes;
}

/// The phase's training programs.
std::size_t training_bytes(const Model& model, const Optimizer& optimizer, Backend& backend, bool is_pretraining) {
  const TrainConfig& train = model.config.train;
  const JacobianSchedule jacobian(train, model.config.solver.max_steps);
  StepOptions options{
      .batch = train.batch_size, .is_pretraining = is_pretraining, .estimator = train.estimator, .plans_only = true};
  std::size_t bytes = TrainingStep(model, optimizer, backend, options).program().peak_bytes();
  if (!has_jacobian_penalty(train, is_pretraining)) return bytes;
  options.jacobian_probes = train.jacobian_probes;
  options.max_steps = jacobian.largest_max_steps();
  return bytes + TrainingStep(model, optimizer, backend, options).program().peak_bytes();
}

std::size_t inference_bytes(const Model& model, Backend& backend, int unrolled_steps) {
  const TrainConfig& train = model.config.train;
  const int batch = train.eval_batch_size > 0 ? train.eval_batch_size : train.batch_size;
  return InferenceStep(model, backend, model.evaluation_shape(batch), model.config.solver, unrolled_steps,
                       /*plans_only=*/true, ScoreSize::image)
      .program()
      .peak_bytes();
}

std::size_t solver_bytes(const Model& model, Backend& backend) {
  const auto& data = model.config.data;
  const StateSpec spec{.batch = model.config.train.batch_size,
                       .block_elems = {model.network.config.state_elements(data.image[0], data.image[1])},
                       .dtype = backend.storage(DType::f32)};
  const TrainConfig& train = model.config.train;
  SolverConfig slice = model.config.solver;
  slice.max_steps = steps_of_slice(train, slice.max_steps);
  const auto solver = make_policy(slice, train.estimator)->make_solver(spec, backend.state_ops());
  return solver->workspace_bytes() + static_cast<std::size_t>(train.correction_states) * solver->estimate_bytes();
}

}  // namespace

std::size_t persistent_bytes(const Model& model, const Optimizer& optimizer) {
  return bytes_of(model.tensors()) + bytes_of(optimizer.state());
}

RunMemory plan_memory(const Model& model, const Optimizer& optimizer, Backend& backend, std::int64_t pretrain_steps,
                      std::int64_t total_steps, std::int64_t test_images) {
  const TrainConfig& train = model.config.train;
  std::size_t monitor = 0, inference = 0;
  if (train.spectral_radius_steps > 0)
    monitor = StabilityMonitor(model, backend, model.evaluation_shape(monitored_images(train, test_images)),
                               train.spectral_radius_steps, true)
                  .peak_bytes();
  RunMemory out;
  for (const bool is_pretraining : {true, false}) {
    if ((is_pretraining ? pretrain_steps : total_steps - pretrain_steps) <= 0) continue;
    const std::size_t training = training_bytes(model, optimizer, backend, is_pretraining);
    // The inference program of pre-training is still there when the equilibrium phase begins.
    inference = std::max(inference, inference_bytes(model, backend, is_pretraining ? train.unroll_steps : 0));
    out.peak_bytes = std::max(out.peak_bytes, training + inference + monitor);
    if (!is_pretraining) out.history_bytes = solver_bytes(model, backend);
  }
  out.peak_bytes += persistent_bytes(model, optimizer);
  return out;
}

}  // namespace deq
