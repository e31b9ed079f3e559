#include "train/phase_programs.h"

#include <algorithm>

#include "train/jacobian_schedule.h"

namespace deq {

PhasePrograms::PhasePrograms(const Model& model, const Optimizer& optimizer, Backend& backend, bool is_pretraining,
                             std::int64_t test_images)
    : backend_(backend), is_pretraining_(is_pretraining) {
  const TrainConfig& train = model.config.train;
  StepOptions options{
      .batch = train.batch_size, .is_pretraining = is_pretraining, .estimator = train.estimator, .plans_only = true};
  plain_ = std::make_unique<TrainingStep>(model, optimizer, backend, options);
  if (has_jacobian_penalty(train, is_pretraining)) {
    options.jacobian_probes = train.jacobian_probes;
    options.max_steps = JacobianSchedule(train, model.config.solver.max_steps).largest_max_steps();
    penalised_ = std::make_unique<TrainingStep>(model, optimizer, backend, options);
  }
  const int batch = train.evaluation_batch();
  inference_ =
      std::make_unique<InferenceStep>(model, backend, model.evaluation_shape(batch), model.config.solver,
                                      is_pretraining ? train.unroll_steps : 0, /*plans_only=*/true, ScoreSize::image);
  if (train.spectral_radius_steps > 0)
    monitor_ =
        std::make_unique<StabilityMonitor>(model, backend, model.evaluation_shape(monitored_images(train, test_images)),
                                           train.spectral_radius_steps, /*plans_only=*/true);
}

std::vector<Program*> PhasePrograms::programs() const {
  std::vector<Program*> out{&plain_->program(), &inference_->program()};
  if (penalised_) out.push_back(&penalised_->program());
  if (monitor_) out.push_back(&monitor_->program());
  return out;
}

std::size_t PhasePrograms::arena_bytes() const {
  std::size_t bytes = 0;
  for (const Program* program : programs()) bytes = std::max(bytes, program->peak_bytes());
  return bytes;
}

void PhasePrograms::allocate() {
  const auto arena = std::make_shared<Arena>(backend_, arena_bytes());
  for (Program* program : programs()) program->place(arena);
}

TrainingStep& PhasePrograms::training(bool has_penalty) {
  check(!has_penalty || penalised_, "train", "no step of this phase has the Jacobian penalty");
  return has_penalty ? *penalised_ : *plain_;
}

void PhasePrograms::fetch_parameters() {
  for (TrainingStep* step : {plain_.get(), penalised_.get()})
    if (step != nullptr) step->program().fetch_parameters();
}

}  // namespace deq
