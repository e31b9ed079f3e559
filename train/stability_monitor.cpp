#include "train/stability_monitor.h"

#include <algorithm>
#include <cmath>

#include "autodiff/vjp.h"
#include "core/builder.h"
#include "train/interrupt.h"

namespace deq {

std::vector<Value> trace_random_adjoint(const Model& model, Value image,
                                        const std::shared_ptr<const EquilibriumPolicy>& policy) {
  Graph& graph = image.owner("spectral radius");
  std::vector<Value> z0, w;
  for (const Shape& shape : model.network.config.state_shapes(image.shape())) {
    z0.push_back(constant(graph, 0.0, shape));
    w.push_back(random(graph, Distribution::normal, 0, shape));
  }
  const EquilibriumTrace trace = trace_equilibrium(model.network.function(model.network.injection(image)), z0,
                                                   {.policy = policy, .output = EquilibriumOutput::applied});
  std::vector<Value> operands = trace.applied;
  operands.insert(operands.end(), trace.iterate.begin(), trace.iterate.end());
  const std::vector<Value> y = graph.add(ImplicitGradient{.solve = trace.node}, std::span<const Value>(operands));
  return vjp(y, w, trace.applied);
}

int monitored_images(const TrainConfig& train, std::int64_t test_images) {
  constexpr std::int64_t kMost = 8;
  const std::int64_t batch = train.evaluation_batch();
  return static_cast<int>(std::max<std::int64_t>(1, std::min({kMost, batch, test_images})));
}

StabilityMonitor::StabilityMonitor(const Model& model, Backend& backend, const Shape& image, int steps, bool plans_only)
    : seed_(static_cast<std::uint64_t>(model.config.train.seed)),
      policy_(std::make_shared<const SpectralPolicy>(solver_options(model.config.solver), steps)) {
  image_ = graph_.input("image", {DType::f32, image}, Rate::batch);
  const std::vector<Value> u = trace_random_adjoint(model, image_, policy_);
  program_ = std::make_unique<Program>(
      Program::compile(graph_, u, backend, {.plans_only = plans_only, .stop = &interrupt_flag()}));
}

SpectralMetrics StabilityMonitor::measure(const Tensor& images, int valid, std::int64_t draw) {
  program_->bind(image_, images);
  const std::vector<std::int64_t> seed{static_cast<std::int64_t>(seed_), draw};
  program_->bind("rng_seed", Tensor::of<std::int64_t>({2}, seed));
  program_->parameters_changed();
  program_->run();
  SpectralMetrics out;
  double sum = 0, change = 0;
  for (int b = 0; b < valid; ++b) {
    const double radius = report().radius[static_cast<std::size_t>(b)];
    if (!std::isfinite(radius)) continue;
    ++out.samples;
    sum += radius;
    change += report().change[static_cast<std::size_t>(b)];
    out.max = std::isnan(out.max) ? radius : std::max(out.max, radius);
  }
  if (out.samples == 0) return out;
  out.mean = sum / out.samples;
  out.change = change / out.samples;
  return out;
}

}  // namespace deq
