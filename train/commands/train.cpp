#include "train/commands/train.h"

#include <cmath>
#include <iostream>

#include "core/error.h"
#include "train/datasets.h"
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
  return load_config(request.config, overrides);
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

std::string percent(double share) { return std::isnan(share) ? "not measured" : concat(share * 100, " %"); }

}  // namespace

int run_train(const TrainRequest& request) {
  const Config config = config_of(request);
  const std::filesystem::path folder = data_folder(request.data, config.data.path);
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, config.compute);
  if (request.is_dry_run) {
    const RunPlan plan =
        plan_run(config, *backend, split_size(config, Split::train, folder), split_size(config, Split::test, folder));
    std::cout << (request.run.is_json ? plan_json(plan) : plan_text(config, plan));
    return 0;
  }
  check_trainable(config);
  const auto train_set = open_split(config, Split::train, folder), test_set = open_split(config, Split::test, folder);
  std::vector<std::string> warnings = outline(config, train_set->size(), test_set->size()).warnings;
  if (test_set->info().serves_both_splits)
    warnings.push_back("the data folder has no train/ and test/: the same images train and test");
  if (!request.run.is_quiet)
    for (const std::string& warning : warnings) std::cerr << "warning: " << message_line(warning) << "\n";
  make_output_folder(request.out);
  Trainer trainer(config, train_set, test_set, *backend,
                  {.out = request.out,
                   .is_resume = request.is_resume,
                   .max_steps = request.max_steps,
                   .is_quiet = request.run.is_quiet,
                   .threads = request.run.threads});
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
