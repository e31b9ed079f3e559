#include "train/plan_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "train/step.h"
#include "train/trainer.h"

namespace deq {

namespace {

/// What makes no sense in a plan, one sentence each.
std::vector<std::string> plan_warnings(const Config& config, const RunPlan& plan) {
  std::vector<std::string> out;
  if (plan.pretrain_steps >= plan.total_steps)
    out.push_back(concat("the run never leaves pre-training: train.pretrain_steps is ", plan.pretrain_steps, " of ",
                         plan.total_steps, " steps"));
  if (config.solver.mode == "abs" && config.solver.tolerance > 0 && plan.state_elements > 100000)
    out.push_back(concat("an absolute tolerance of ", config.solver.tolerance, " on ", plan.state_elements,
                         " elements is hardly ever met: every solve will run its ", config.solver.max_steps, " steps"));
  if (config.train.jacobian_weight > 0 || config.train.jacobian_pretrain_weight > 0)
    out.push_back("the Jacobian penalty (train.jacobian_*) is not part of training in this version: it has no effect");
  if (plan.train_images < config.train.batch_size)
    out.push_back(concat("the training set has ", plan.train_images, " images, less than one batch of ",
                         config.train.batch_size));
  return out;
}

}  // namespace

RunPlan outline(const Config& config, std::int64_t train_images, std::int64_t test_images) {
  RunPlan out;
  out.state_elements = network_config(config.model).state_elements(config.data.image[0], config.data.image[1]);
  out.total_steps = total_steps(config.train, train_images);
  out.pretrain_steps = std::min<std::int64_t>(config.train.pretrain_steps, out.total_steps);
  out.train_images = train_images;
  out.test_images = test_images;
  out.solver = make_policy(config.solver, config.train.estimator)->describe();
  out.warnings = plan_warnings(config, out);
  return out;
}

RunPlan plan_run(const Config& config, Backend& backend, std::int64_t train_images, std::int64_t test_images) {
  const Model model(config);
  const Optimizer optimizer(config.optimizer, model.store);
  RunPlan out = outline(config, train_images, test_images);
  out.parameters = model.store.trainable_elements();
  for (const bool is_pretraining : {true, false}) {
    const std::int64_t steps = is_pretraining ? out.pretrain_steps : out.total_steps - out.pretrain_steps;
    if (steps == 0) continue;
    const TrainingStep step(model, optimizer, backend,
                            {.batch = config.train.batch_size,
                             .is_pretraining = is_pretraining,
                             .estimator = config.train.estimator,
                             .plans_only = true});
    out.peak_bytes = std::max(out.peak_bytes, step.program().peak_bytes());
  }
  return out;
}

std::string plan_json(const RunPlan& plan) {
  const nlohmann::ordered_json json = {{"parameters", plan.parameters},
                                       {"state_elements", plan.state_elements},
                                       {"pretrain_steps", plan.pretrain_steps},
                                       {"total_steps", plan.total_steps},
                                       {"peak_bytes", plan.peak_bytes},
                                       {"dataset", {{"train", plan.train_images}, {"test", plan.test_images}}},
                                       {"solver", plan.solver},
                                       {"warnings", plan.warnings}};
  return json.dump(2) + "\n";
}

std::string plan_text(const Config& config, const RunPlan& plan) {
  std::ostringstream out;
  out << config.model.name << " on " << config.data.name << " (" << plan.train_images << " training, "
      << plan.test_images << " test images)\n"
      << "  parameters      " << plan.parameters << "\n"
      << "  state           " << plan.state_elements << " elements an image\n"
      << "  pre-training    " << plan.pretrain_steps << " steps of " << config.train.unroll_steps
      << " unrolled applications\n"
      << "  equilibrium     " << plan.total_steps - plan.pretrain_steps << " steps\n"
      << "  solver          " << plan.solver << "\n"
      << "  estimator       " << config.train.estimator << "\n"
      << "  optimiser       " << config.optimizer.name << ", lr " << config.optimizer.lr << ", batch "
      << config.train.batch_size << "\n"
      << "  peak memory     " << (plan.peak_bytes + (1 << 20) - 1) / (1 << 20) << " MiB\n";
  for (const std::string& warning : plan.warnings) out << "  warning: " << warning << "\n";
  return out.str();
}

}  // namespace deq
