#include "train/commands/eval.h"

#include "core/error.h"
#include "train/checkpoint.h"

namespace deq {

int run_eval(const EvalRequest& request) {
  const Checkpoint checkpoint = load_checkpoint(request.checkpoint);
  throw Error("eval: evaluating '" + checkpoint.config.model.name + "' is not built yet");
}

}  // namespace deq
