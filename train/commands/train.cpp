#include "train/commands/train.h"

#include <iostream>

#include "train/datasets.h"
#include "train/interrupt.h"
#include "train/make_backend.h"
#include "train/plan_report.h"
#include "train/trainer.h"

namespace deq {

Config config_of(const TrainRequest& request) {
  std::vector<std::string> overrides;
  if (request.run.seed) overrides.push_back("train.seed=" + std::to_string(*request.run.seed));
  overrides.insert(overrides.end(), request.overrides.begin(), request.overrides.end());
  return load_config(request.config, overrides);
}

int run_train(const TrainRequest& request) {
  const Config config = config_of(request);
  const std::filesystem::path folder = data_folder(request.data, config.data.path);
  const std::unique_ptr<Backend> backend = make_backend(request.run.device);
  if (request.is_dry_run) {
    const RunPlan plan =
        plan_run(config, *backend, split_size(config, Split::train, folder), split_size(config, Split::test, folder));
    std::cout << (request.run.is_json ? plan_json(plan) : plan_text(config, plan));
    return 0;
  }
  Trainer trainer(config, open_split(config, Split::train, folder), open_split(config, Split::test, folder), *backend,
                  {.out = request.out,
                   .is_resume = request.is_resume,
                   .max_steps = request.max_steps,
                   .is_quiet = request.run.is_quiet,
                   .threads = request.run.threads});
  const RunSummary summary = trainer.run();
  if (request.run.is_json)
    std::cout << summary_json(summary);
  else
    std::cout << "step " << summary.steps << " of " << summary.total_steps << ", test accuracy "
              << summary.test_accuracy * 100 << " %, best " << summary.best_accuracy * 100 << " %; saved in "
              << (request.out / "checkpoints").string() << "\n";
  return summary.is_interrupted ? kInterruptedStatus : 0;
}

}  // namespace deq
