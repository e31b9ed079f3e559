#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/cpu/backend.h"
#include "tests/op_cases/emulated_cuda.h"
#include "tests/train/small_model.h"
#include "train/step.h"

// Training on the emulated device: its memory may not be touched by the host, so these steps also prove that programs,
// solvers and steps never do.

namespace deq {

namespace {

/// A model whose solves converge (make_contractive needs the affine norms).
Config contractive_config() {
  Config config = test::tiny_config();
  config.model.post_gn_affine = true;
  return config;
}

/// Some steps of training on `backend`; the model's tensors are up to date afterwards.
struct Run {
  Run(const Config& config, Backend& backend, const StepOptions& options)
      : model(config), optimizer(config.optimizer, model.store) {
    test::make_contractive(model);
    TrainingStep step(model, optimizer, backend, options);
    for (std::int64_t i = 0; i < 3; ++i) {
      const Batch batch = test::random_batch(config, options.batch, static_cast<unsigned>(i));
      loss = step.run(batch, /*lr=*/0.01, i).loss;
    }
    step.program().fetch_parameters();
  }
  Model model;
  Optimizer optimizer;
  double loss = 0;
};

/// Largest difference of a parameter over the largest element of its tensor.
double difference(const Model& a, const Model& b) {
  double worst = 0;
  const auto theirs = b.tensors();
  for (const auto& [name, tensor] : a.tensors()) {
    const auto other = std::ranges::find_if(theirs, [&](const auto& entry) { return entry.first == name; });
    const auto x = tensor.template data<float>(), y = other->second.template data<float>();
    double largest = 1e-3, distance = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(x[i])));
      distance = std::max(distance, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
    }
    worst = std::max(worst, distance / largest);
  }
  return worst;
}

}  // namespace

TEST_CASE("training on the emulated device follows the CPU") {
  // Rounding alone separates them: 1e-6 a step, which the solves magnify.
  constexpr double kTolerance = 1e-3;
  Config config = contractive_config();
  // Adam turns gradients that are zero but for rounding into whole steps, unless eps is above the rounding.
  config.optimizer.eps = 1e-2;
  std::vector<StepOptions> phases{{.batch = 2, .is_pretraining = true}};
  for (const char* estimator : {"shine", "jfb", "shine-refine-2", "exact"})
    phases.push_back({.batch = 2, .estimator = estimator});
  for (const StepOptions& options : phases) {
    CAPTURE(options.estimator);
    CAPTURE(options.is_pretraining);
    config.optimizer.name = options.estimator == "jfb" ? "sgd" : "adamw";
    CpuBackend cpu;
    tests::EmulatedCuda device;
    const Run expected(config, cpu, options), found(config, device, options);
    CHECK(found.loss == doctest::Approx(expected.loss).epsilon(kTolerance));
    CHECK(difference(found.model, expected.model) <= kTolerance);
  }
}

TEST_CASE("a warm start keeps its state on the device") {
  Config config = contractive_config();
  config.solver.warm_start = true;
  tests::EmulatedCuda device;
  Model model(config);
  test::make_contractive(model);
  InferenceStep step(model, device, model.image_shape(2), config.solver);
  const Batch batch = test::random_batch(config, 2, 1);
  (void)step.run(batch.images);
  const int cold = step.program().forward_report()->steps_run;
  (void)step.run(batch.images);
  CHECK(step.program().forward_report()->steps_run < cold);
}

TEST_CASE("a step on a device moves the batch and what is read, not the parameters") {
  const Config config = test::tiny_config();
  tests::EmulatedCuda device;
  Model model(config);
  Optimizer optimizer(config.optimizer, model.store);
  TrainingStep step(model, optimizer, device, {.batch = 4});
  const Batch batch = test::random_batch(config, 4, 1);
  (void)step.run(batch, 0.01, 0);
  const std::size_t uploaded = device.uploaded, downloaded = device.downloaded;
  (void)step.run(batch, 0.01, 1);
  const std::size_t scalars = 64;  // labels, rate, step, seed; loss and counts
  CHECK(device.uploaded - uploaded <= batch.images.bytes() + batch.labels.bytes() + scalars);
  CHECK(device.downloaded - downloaded <= 4096);
}

TEST_CASE("inference sees what training left on the device, and what the host loads after fetching") {
  const Config config = contractive_config();
  tests::EmulatedCuda device;
  CpuBackend cpu;
  Model model(config);
  test::make_contractive(model);
  Optimizer optimizer(config.optimizer, model.store);
  const Batch batch = test::random_batch(config, 4, 1);
  TrainingStep step(model, optimizer, device, {.batch = 4});
  InferenceStep on_device(model, device, model.image_shape(4), config.solver);
  InferenceStep on_host(model, cpu, model.image_shape(4), config.solver);
  const auto logits_agree = [&] {
    on_device.program().parameters_changed();
    on_host.program().parameters_changed();
    const auto found = on_device.run(batch.images).clone(), wanted = on_host.run(batch.images).clone();
    double worst = 0;
    for (std::size_t i = 0; i < wanted.data<float>().size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(found.data<float>()[i] - wanted.data<float>()[i])));
    return worst < 1e-3;
  };
  CHECK(logits_agree());
  (void)step.run(batch, 0.05, 0);
  CHECK_FALSE(logits_agree());  // the device is ahead
  step.program().fetch_parameters();
  CHECK(logits_agree());
  for (const ParameterEntry& entry : model.store.entries())
    for (float& value : entry.value->data<float>()) value *= 0.9F;
  CHECK(logits_agree());
}

}  // namespace deq
