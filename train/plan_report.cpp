#include "train/plan_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/counted.h"
#include "train/correction.h"
#include "train/jacobian_schedule.h"
#include "train/json_text.h"
#include "train/plan_warnings.h"
#include "train/run_memory.h"
#include "train/trainer.h"

namespace deq {

namespace {

std::size_t mebibytes(std::size_t bytes) { return (bytes + (1 << 20) - 1) / (1 << 20); }

std::string penalty_text(const Config& config) {
  const TrainConfig& train = config.train;
  if (!has_jacobian_penalty(train)) return {};
  std::ostringstream out;
  out << "  Jacobian        " << train.jacobian_frequency * 100 << " % of the steps, weight "
      << train.jacobian_pretrain_weight << " in pre-training, then " << train.jacobian_weight;
  if (train.jacobian_increment_every > 0) out << " + 0.1 every " << counted(train.jacobian_increment_every, "step");
  if (train.jacobian_stop_epoch > 0) out << ", until epoch " << train.jacobian_stop_epoch;
  if (train.jacobian_target_radius > 0) out << ", steered to a radius of " << train.jacobian_target_radius;
  out << "; at most " << std::max(1, config.solver.max_steps - train.random_max_steps_delta) << " ... "
      << config.solver.max_steps + 1 << " solver steps meanwhile\n";
  return out.str();
}

/// The solver of the equilibrium phase in words, with what is particular about its start and its supervision.
std::string solver_text(const Config& config) {
  const TrainConfig& train = config.train;
  SolverConfig slice = config.solver;
  slice.max_steps = steps_of_slice(train, slice.max_steps);
  std::string out = make_policy(slice, train.estimator)->describe();
  if (train.correction_states > 1)
    out += concat(", ", train.correction_states, " such slices, all supervised (", train.correction_weights, ")");
  if (train.start != "zeros") out += concat(", from ", train.start, " starts");
  return out;
}

std::string start_text(const InitialWeights& start) {
  return start.from.empty() ? "" : concat("  weights from    ", describe(start), "\n");
}

}  // namespace

RunPlan outline(const Config& config, std::int64_t train_images, std::int64_t test_images) {
  RunPlan out;
  out.state_elements = network_config(config.model).state_elements(config.data.image[0], config.data.image[1]);
  out.total_steps = total_steps(config.train, train_images);
  out.pretrain_steps = std::min<std::int64_t>(config.train.pretrain_steps, out.total_steps);
  out.train_images = train_images;
  out.test_images = test_images;
  out.solver = solver_text(config);
  out.warnings = plan_warnings(config, out);
  return out;
}

RunPlan plan_run(const Config& config, Backend& backend, std::int64_t train_images, std::int64_t test_images) {
  const Model model(config, ParameterStart::zeros);
  const Optimizer optimizer(config.optimizer, model.store);
  RunPlan out = outline(config, train_images, test_images);
  out.parameters = model.store.trainable_elements();
  out.uses_host_memory = backend.device().kind != DeviceKind::cuda;
  const RunMemory memory = plan_memory(model, optimizer, backend, out.pretrain_steps, out.total_steps, out.test_images);
  out.peak_bytes = memory.peak_bytes;
  out.history_bytes = memory.history_bytes;
  out.warnings = plan_warnings(config, out);
  return out;
}

std::string plan_json(const RunPlan& plan) {
  nlohmann::ordered_json json = {{"parameters", plan.parameters},
                                 {"state_elements", plan.state_elements},
                                 {"pretrain_steps", plan.pretrain_steps},
                                 {"equilibrium_steps", plan.total_steps - plan.pretrain_steps},
                                 {"total_steps", plan.total_steps},
                                 {"peak_bytes", plan.peak_bytes},
                                 {"history_bytes", plan.history_bytes},
                                 {"dataset", {{"train", plan.train_images}, {"test", plan.test_images}}},
                                 {"solver", plan.solver},
                                 {"warnings", plan.warnings}};
  if (!plan.start.from.empty())
    json["initial_weights"] = {
        {"file", plan.start.from.string()}, {"tensors", plan.start.taken.size()}, {"drawn", plan.start.drawn}};
  return json_text(json);
}

std::string plan_text(const Config& config, const RunPlan& plan) {
  std::ostringstream out;
  out << config.model.name << " on " << config.data.name << " (" << plan.train_images << " training, "
      << counted(plan.test_images, "test image") << ")\n"
      << "  parameters      " << plan.parameters << "\n"
      << start_text(plan.start) << "  state           " << plan.state_elements << " elements an image\n"
      << "  pre-training    " << counted(plan.pretrain_steps, "step") << " of "
      << counted(config.train.unroll_steps, "unrolled application") << "\n"
      << "  equilibrium     " << counted(plan.total_steps - plan.pretrain_steps, "step") << "\n"
      << "  solver          " << plan.solver << "\n"
      << "  estimator       " << config.train.estimator << "\n"
      << "  convolutions    " << config.compute.convolution << "\n"
      << "  optimiser       " << config.optimizer.name << ", lr " << config.optimizer.lr << ", batch "
      << config.train.batch_size << "\n"
      << penalty_text(config) << "  peak memory     " << mebibytes(plan.peak_bytes) << " MiB, of it "
      << mebibytes(plan.history_bytes) << " MiB of solver history\n";
  for (const std::string& warning : plan.warnings) out << "  warning: " << warning << "\n";
  return out.str();
}

}  // namespace deq
