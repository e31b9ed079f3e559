#include "train/commands/bench.h"

#include "core/error.h"
#include "train/config.h"

namespace deq {

int run_bench(const BenchRequest& request) {
  const Config config = load_config(request.config, request.overrides);
  throw Error("bench: measuring '" + config.model.name + "' is not built yet");
}

}  // namespace deq
