#include "train/step.h"

#include <algorithm>

#include "autodiff/jacobian_penalty.h"
#include "autodiff/recompute.h"
#include "autodiff/vjp.h"
#include "core/builder.h"
#include "layers/pixel_cross_entropy.h"
#include "layers/trajectory.h"
#include "train/correction.h"
#include "train/interrupt.h"
#include "train/loss.h"

namespace deq {
namespace {

MdeqForward forward_options(const Model& model, const StepOptions& options) {
  MdeqForward out;
  if (options.is_pretraining) {
    out.unrolled_steps = model.config.train.unroll_steps;
    return out;
  }
  SolverConfig solver = model.config.solver;
  if (options.max_steps > 0) solver.max_steps = options.max_steps;
  solver.max_steps = steps_of_slice(model.config.train, solver.max_steps);
  out.equilibrium.policy = make_policy(solver, options.estimator);
  out.earlier.assign(static_cast<std::size_t>(model.config.train.correction_states - 1), out.equilibrium);
  out.start.kind = start_kind(model.config.train);
  return out;
}

/// The loss to descend on: that of the last state, with those of earlier ones if there are any.
Value objective_of(const Model& model, const TrainingLoss& loss_of, const Mdeq::Output& output, Value loss) {
  std::vector<Value> losses;
  for (const Value logits : output.earlier_logits) losses.push_back(loss_of(logits));
  losses.push_back(loss);
  if (losses.size() == 1) return loss;
  return corrected_loss(losses, correction_weights(model.config.train));
}

/// The Jacobian of f where the head sees its states: at z*, or at the last iterate of the unrolled ones.
Value penalty_of(const Model& model, const Mdeq::Output& output, int probes) {
  if (output.equilibrium) return jacobian_penalty(output.equilibrium->applied, output.equilibrium->iterate, probes);
  const std::vector<Value> applied = model.network.function(output.injected)(output.states);
  return jacobian_penalty(applied, output.states, probes);
}

}  // namespace

double share_correct(const Tensor& scores, const Tensor& labels) {
  const std::size_t rows = static_cast<std::size_t>(labels.shape().elements());
  const std::size_t classes = scores.data<float>().size() / rows;
  std::int64_t correct = 0, counted = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::int32_t truth = labels.data<std::int32_t>()[row];
    if (truth < 0) continue;
    const auto row_scores = scores.data<float>().subspan(row * classes, classes);
    ++counted;
    if (std::max_element(row_scores.begin(), row_scores.end()) - row_scores.begin() == truth) ++correct;
  }
  return counted > 0 ? static_cast<double>(correct) / static_cast<double>(counted) : 0;
}

TrainingStep::TrainingStep(const Model& model, const Optimizer& optimizer, Backend& backend, const StepOptions& options)
    : options_(options),
      train_(model.config.train),
      feed_(backend.pixel_feed()),
      seed_(static_cast<std::uint64_t>(model.config.train.seed)),
      lr_tensor_(DType::f32, {}),
      count_tensor_(DType::f32, {}),
      seed_tensor_(DType::i64, {2}),
      loss_tensor_(DType::f32, {}),
      norm_tensor_(DType::f32, {}) {
  const Shape image = model.image_shape(options.batch);
  image_ = graph_.input("image", {DType::f32, image}, Rate::batch);
  label_ = graph_.input("label", {DType::i32, model.label_shape(image)}, Rate::batch);
  lr_ = graph_.input("lr", {DType::f32, {}}, Rate::batch);
  count_ = graph_.input("optimizer_step", {DType::f32, {}}, Rate::batch);
  MdeqForward forward = forward_options(model, options);
  const TrainingLoss loss_of(model, label_);
  forward.outer_loss = loss_of;
  const Mdeq::Output output = model.network(image_, forward);
  loss_ = loss_of(output.logits);
  logits_ = loss_of.answers(output.logits);
  const std::vector<Value> parameters = optimizer.parameters(graph_);
  const Value objective = objective_of(model, loss_of, output, loss_);
  std::vector<Value> gradient = gradients_or_zeros(objective, parameters);
  if (model.config.train.recompute) gradient = recomputed(gradient);
  if (options.jacobian_probes > 0) add_penalty(model, output, parameters, gradient);
  norm_ = optimizer.update(graph_, gradient, lr_, count_, model.config.train.clip_norm);
  logits_tensor_ = Tensor(logits_.type());
  std::vector<Value> outputs{loss_, logits_, norm_};
  if (!penalty_.is_empty()) outputs.push_back(penalty_);
  program_ = std::make_unique<Program>(Program::compile(
      graph_, outputs, backend,
      {.plans_only = options.plans_only, .stop = options.stops_in_solves ? &interrupt_flag() : nullptr}));
}

void TrainingStep::add_penalty(const Model& model, const Mdeq::Output& output, std::span<const Value> parameters,
                               std::vector<Value>& gradient) {
  penalty_ = penalty_of(model, output, options_.jacobian_probes);
  penalty_weight_ = graph_.input("jacobian_weight", {DType::f32, {}}, Rate::batch);
  // Naming the states ends the walk there: they are constants of the penalty, however they came about.
  std::vector<Value> variables(parameters.begin(), parameters.end());
  const std::vector<Value>& states = output.equilibrium ? output.equilibrium->iterate : output.states;
  variables.insert(variables.end(), states.begin(), states.end());
  const std::vector<Value> part = vjp(std::vector<Value>{penalty_}, std::vector<Value>{penalty_weight_}, variables);
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (!part[i].is_empty()) gradient[i] = gradient[i] + part[i];
}

void TrainingStep::set_penalty(const JacobianDraw& draw) {
  check(!penalty_.is_empty(), "train", "the step was made without the Jacobian penalty");
  weight_tensor_.data<float>()[0] = static_cast<float>(draw.weight);
  program_->bind(penalty_weight_, weight_tensor_);
  program_->limit_steps(steps_of_slice(train_, draw.max_steps));
}

StepResult TrainingStep::run(const Batch& batch, double lr, std::int64_t step, const Batch* next) {
  lr_tensor_.data<float>()[0] = static_cast<float>(lr);
  count_tensor_.data<float>()[0] = static_cast<float>(step + 1);
  seed_tensor_.data<std::int64_t>()[0] = static_cast<std::int64_t>(seed_);
  seed_tensor_.data<std::int64_t>()[1] = step;
  if (batch.raw.pixels.empty())
    program_->bind(image_, batch.images);
  else
    program_->bind(image_, batch.raw);
  program_->bind(label_, batch.labels);
  program_->bind(lr_, lr_tensor_);
  // Adam alone counts steps.
  if (program_->has_input("optimizer_step")) program_->bind(count_, count_tensor_);
  if (program_->has_input("rng_seed")) program_->bind("rng_seed", seed_tensor_);
  program_->run();
  if (next != nullptr && feed_ != nullptr && !next->raw.pixels.empty()) feed_->stage(next->raw);
  program_->read(loss_, loss_tensor_);
  program_->read(logits_, logits_tensor_);
  program_->read(norm_, norm_tensor_);
  if (!penalty_.is_empty()) program_->read(penalty_, penalty_tensor_);
  return {.loss = loss_tensor_.data<float>()[0],
          .accuracy = share_correct(logits_tensor_, batch.labels),
          .gradient_norm = norm_tensor_.data<float>()[0],
          .jacobian_penalty = penalty_tensor_.data<float>()[0]};
}

InferenceStep::InferenceStep(const Model& model, Backend& backend, const Shape& image, const SolverConfig& solver,
                             int unrolled_steps, bool plans_only, ScoreSize size)
    : batch_(static_cast<int>(image[0])) {
  image_ = graph_.input("image", {DType::f32, image}, Rate::batch);
  MdeqForward forward;
  forward.unrolled_steps = unrolled_steps;
  const bool is_applied = model.config.model.inference_output == "applied";
  forward.equilibrium.output = is_applied ? EquilibriumOutput::applied : EquilibriumOutput::iterate;
  if (unrolled_steps == 0) forward.equilibrium.policy = make_inference_policy(solver);
  logits_ = model.network(image_, forward).logits;
  if (model.is_segmentation() && size == ScoreSize::image)
    logits_ = layers::enlarged_scores(logits_, image[1], image[2]);
  logits_tensor_ = Tensor(logits_.type());
  program_ = std::make_unique<Program>(Program::compile(graph_, std::vector<Value>{logits_}, backend,
                                                        {.plans_only = plans_only, .stop = &interrupt_flag()}));
}

const Tensor& InferenceStep::run(const Tensor& images) {
  program_->bind(image_, images);
  program_->run();
  program_->read(logits_, logits_tensor_);
  return logits_tensor_;
}

}  // namespace deq
