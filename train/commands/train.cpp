#include "train/commands/train.h"

#include <cmath>
#include <iostream>

#include "core/error.h"
#include "train/config_override.h"
#include "train/datasets.h"
#include "train/initial_weights.h"
#include "train/interrupt.h"
#include "train/make_backend.h"
#include "train/message_line.h"
#include "train/model.h"
#include "train/output_folder.h"
#include "train/plan_report.h"
#include "train/trainer.h"

namespace deq {

Config config_of(const TrainRequest& request) {
  std::vector<std::string> overrides;
  if (request.run.seed) overrides.push_back("train.seed=" + std::to_string(*request.run.seed));
  overrides.insert(overrides.end(), request.overrides.begin(), request.overrides.end());
  Config config = load_config(request.config, overrides);
  if (request.weights.empty()) return config;
  for (const std::string& assignment : request.overrides)
    require(overridden_key(assignment).name != "train.initial_weights", "--set",
            "key 'train.initial_weights' is what --weights stands for; give one of the two");
  config.train.initial_weights = request.weights.string();
  return config;
}

namespace {

/// What would otherwise only be found out when the equilibrium phase begins.
void check_trainable(const Config& config) {
  make_policy(config.solver, config.train.estimator);
  const bool is_segmentation = config.model.task == "segmentation";
  require(is_segmentation || (config.data.class_weights.empty() && config.data.eval_image.empty()), "train",
          "keys 'data.class_weights' and 'data.eval_image' are for segmentation, but 'model.task' is '",
          config.model.task, "'");
}

/// The weights that the run begins with; those of a run that goes on lie in its own folder.
InitialWeights start_of(const TrainRequest& request, const Config& config) {
  if (request.is_resume && has_checkpoint(request.out / "checkpoints" / "last")) return {};
  if (!config.train.initial_weights.empty()) check_readable(config.train.initial_weights);
  return read_initial_weights(config);
}

std::string percent(double share) { return std::isnan(share) ? "not measured" : concat(share * 100, " %"); }

}  // namespace

int run_train(const TrainRequest& request) {
  const Config config = config_of(request);
  const std::filesystem::path folder = data_folder(request.data, config.data.path);
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, config.compute);
  if (request.is_dry_run) {
    RunPlan plan =
        plan_run(config, *backend, split_size(config, Split::train, folder), split_size(config, Split::test, folder));
    plan.start = start_of(request, config);
    std::cout << (request.run.is_json ? plan_json(plan) : plan_text(config, plan));
    return 0;
  }
  check_trainable(config);
  const bool is_checkpoint = std::filesystem::exists(request.out) && has_checkpoint(request.out);
  require(!is_checkpoint, request.out.string(),
          "is a checkpoint, not the folder of a run; choose another --out (--weights ", request.out.string(),
          " begins from its weights)");
  const auto train_set = open_split(config, Split::train, folder), test_set = open_split(config, Split::test, folder);
  std::vector<std::string> warnings = outline(config, train_set->size(), test_set->size()).warnings;
  if (test_set->info().serves_both_splits)
    warnings.push_back("the data folder has no train/ and test/: the same images train and test");
  if (!request.run.is_quiet)
    for (const std::string& warning : warnings) std::cerr << "warning: " << message_line(warning) << "\n";
  InitialWeights start = start_of(request, config);
  if (!request.run.is_quiet && !start.from.empty())
    std::cerr << "initial weights: " << message_line(describe(start)) << "\n";
  make_output_folder(request.out);
  Trainer trainer(config, train_set, test_set, *backend,
                  {.out = request.out,
                   .is_resume = request.is_resume,
                   .max_steps = request.max_steps,
                   .is_quiet = request.run.is_quiet,
                   .threads = request.run.threads,
                   .initial_weights = std::move(start.taken)});
  const RunSummary summary = trainer.run();
  const bool is_segmentation = config.model.task == "segmentation";
  if (request.run.is_json)
    std::cout << summary_json(summary);
  else
    std::cout << "step " << summary.steps << " of " << summary.total_steps << ", test accuracy "
              << percent(summary.test_accuracy)
              << (is_segmentation ? concat(", mIoU ", percent(summary.test_miou)) : "") << ", best "
              << percent(is_segmentation ? summary.best_miou : summary.best_accuracy) << "; saved in "
              << (request.out / "checkpoints").string() << "\n";
  return summary.is_interrupted ? kInterruptedStatus : 0;
}

}  // namespace deq
