#include "train/commands/predict.h"

#include "core/error.h"
#include "train/checkpoint.h"

namespace deq {

int run_predict(const PredictRequest& request) {
  const Checkpoint checkpoint = load_checkpoint(request.checkpoint);
  throw Error("predict: inference with '" + checkpoint.config.model.name + "' is not built yet");
}

}  // namespace deq
