#include "train/commands/train.h"

#include "core/error.h"

namespace deq {

Config config_of(const TrainRequest& request) {
  std::vector<std::string> overrides;
  if (request.run.seed) overrides.push_back("train.seed=" + std::to_string(*request.run.seed));
  overrides.insert(overrides.end(), request.overrides.begin(), request.overrides.end());
  return load_config(request.config, overrides);
}

int run_train(const TrainRequest& request) {
  const Config config = config_of(request);
  throw Error("train: training '" + config.model.name + "' is not built yet");
}

}  // namespace deq
