#include "train/step.h"

#include <algorithm>

#include "autodiff/vjp.h"
#include "core/builder.h"

namespace deq {
namespace {

MdeqForward forward_options(const Model& model, bool is_unrolled, const std::string& estimator) {
  MdeqForward out;
  if (is_unrolled)
    out.unrolled_steps = model.config.train.unroll_steps;
  else
    out.equilibrium.policy = make_policy(model.config.solver, estimator);
  return out;
}

}  // namespace

int count_correct(const Tensor& logits, const Tensor& labels, int valid) {
  const std::int64_t classes = logits.shape()[1];
  const auto scores = logits.data<float>();
  const auto truth = labels.data<std::int32_t>();
  int correct = 0;
  for (int b = 0; b < valid; ++b) {
    const auto row = scores.subspan(static_cast<std::size_t>(b * classes), static_cast<std::size_t>(classes));
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    if (best == truth[static_cast<std::size_t>(b)]) ++correct;
  }
  return correct;
}

TrainingStep::TrainingStep(const Model& model, const Optimizer& optimizer, Backend& backend, const StepOptions& options)
    : options_(options),
      seed_(static_cast<std::uint64_t>(model.config.train.seed)),
      lr_tensor_(DType::f32, {}),
      count_tensor_(DType::f32, {}),
      seed_tensor_(DType::i64, {2}),
      loss_tensor_(DType::f32, {}),
      norm_tensor_(DType::f32, {}) {
  image_ = graph_.input("image", {DType::f32, model.image_shape(options.batch)}, Rate::batch);
  label_ = graph_.input("label", {DType::i32, {options.batch}}, Rate::batch);
  lr_ = graph_.input("lr", {DType::f32, {}}, Rate::batch);
  count_ = graph_.input("optimizer_step", {DType::f32, {}}, Rate::batch);
  const MdeqForward forward = forward_options(model, options.is_pretraining, options.estimator);
  logits_ = model.network(image_, forward).logits;
  loss_ = mean(softmax_cross_entropy(logits_, label_).loss);
  const std::vector<Value> gradient = gradients_or_zeros(loss_, optimizer.parameters(graph_));
  norm_ = optimizer.update(graph_, gradient, lr_, count_, model.config.train.clip_norm);
  logits_tensor_ = Tensor(logits_.type());
  const std::vector<Value> outputs{loss_, logits_, norm_};
  program_ = std::make_unique<Program>(
      Program::compile(graph_, outputs, backend, {.checks_finite = false, .plans_only = options.plans_only}));
}

StepResult TrainingStep::run(const Batch& batch, double lr, std::int64_t step) {
  lr_tensor_.data<float>()[0] = static_cast<float>(lr);
  count_tensor_.data<float>()[0] = static_cast<float>(step + 1);
  seed_tensor_.data<std::int64_t>()[0] = static_cast<std::int64_t>(seed_);
  seed_tensor_.data<std::int64_t>()[1] = step;
  program_->bind(image_, batch.images);
  program_->bind(label_, batch.labels);
  program_->bind(lr_, lr_tensor_);
  // Adam alone counts steps.
  if (program_->has_input("optimizer_step")) program_->bind(count_, count_tensor_);
  if (program_->has_input("rng_seed")) program_->bind("rng_seed", seed_tensor_);
  program_->run();
  program_->read(loss_, loss_tensor_);
  program_->read(logits_, logits_tensor_);
  program_->read(norm_, norm_tensor_);
  return {.loss = loss_tensor_.data<float>()[0],
          .accuracy = static_cast<double>(count_correct(logits_tensor_, batch.labels, batch.valid)) / batch.valid,
          .gradient_norm = norm_tensor_.data<float>()[0]};
}

InferenceStep::InferenceStep(const Model& model, Backend& backend, const Shape& image, const SolverConfig& solver,
                             int unrolled_steps)
    : batch_(static_cast<int>(image[0])) {
  image_ = graph_.input("image", {DType::f32, image}, Rate::batch);
  MdeqForward forward;
  forward.unrolled_steps = unrolled_steps;
  if (unrolled_steps == 0) forward.equilibrium.policy = make_inference_policy(solver);
  logits_ = model.network(image_, forward).logits;
  logits_tensor_ = Tensor(logits_.type());
  program_ = std::make_unique<Program>(Program::compile(graph_, std::vector<Value>{logits_}, backend));
}

const Tensor& InferenceStep::run(const Tensor& images) {
  program_->bind(image_, images);
  program_->run();
  program_->read(logits_, logits_tensor_);
  return logits_tensor_;
}

}  // namespace deq
