#include "train/commands/eval.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "train/datasets.h"
#include "train/evaluator.h"
#include "train/interrupt.h"
#include "train/json_text.h"
#include "train/make_backend.h"
#include "train/message_line.h"
#include "train/progress.h"
#include "train/solve_json.h"

namespace deq {
namespace {

void print_evaluation(const EvalRequest& request, const Evaluation& result,
                      const std::vector<std::string>& class_names) {
  if (request.run.is_json) {
    nlohmann::ordered_json json = {{"accuracy", result.accuracy},
                                   {"loss", result.loss},
                                   {"images", result.images},
                                   {"images_per_s", result.images_per_s},
                                   {"forward", forward_json(result.forward)}};
    if (!result.class_iou.empty()) {
      json["miou"] = result.miou;
      for (std::size_t i = 0; i < result.class_iou.size(); ++i) json["class_iou"][class_names[i]] = result.class_iou[i];
    }
    if (result.bad_images > 0) json["bad_images"] = result.bad_images;
    std::cout << json_text(json);
    return;
  }
  if (!result.class_iou.empty()) std::cout << "mIoU " << result.miou * 100 << " %, ";
  std::cout << "accuracy " << result.accuracy * 100 << " %, loss " << result.loss << " on "
            << counted(result.images, "image") << " (" << result.images_per_s << " images/s); ";
  if (result.forward.samples == 0)
    std::cout << "f applied " << counted(result.forward.steps, "time") << ", as in pre-training\n";
  else
    std::cout << "solver " << counted(result.forward.steps, "step") << ", residual " << result.forward.residual << ", "
              << spared(result.forward) << "\n";
}

}  // namespace

int run_eval(const EvalRequest& request) {
  check_readable(request.checkpoint);
  LoadedModel loaded = load_model(request.checkpoint);
  const GivenKeys given = override_checkpoint(loaded, request.overrides, CheckpointUse::eval);
  Config& config = loaded.model->config;
  apply(request.limits, config.solver, given);
  const auto dataset =
      open_split(config, split_of(request.split), data_folder(request.data, config.data.path, given), View::evaluation);
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, config.compute);
  const std::int64_t images = request.limit > 0 ? std::min(request.limit, dataset->size()) : dataset->size();
  const std::int64_t wanted = request.batch > 0 ? request.batch : config.train.evaluation_batch();
  const int batch = static_cast<int>(std::min(wanted, images));
  InferenceStep step(*loaded.model, *backend, loaded.model->evaluation_shape(batch), config.solver,
                     unrolled_steps_of(loaded.checkpoint), /*plans_only=*/false, ScoreSize::image);
  const InterruptGuard guard;
  Progress progress(progress_style(request.run.is_quiet));
  Evaluation result = evaluate(step, dataset,
                               {.limit = request.limit,
                                .threads = config.data.threads,
                                .class_weights = config.data.class_weights,
                                .progress = [&](std::int64_t done, std::int64_t total) {
                                  progress.update({.step = done, .total = total, .phase = "eval"});
                                  return !is_interrupted();
                                }});
  progress.finish();
  if (is_interrupted()) return kInterruptedStatus;
  if (result.forward.samples == 0) result.forward.steps = unrolled_steps_of(loaded.checkpoint);
  for (const std::string& message : dataset->bad_files()) std::cerr << "skipped " << message_line(message) << "\n";
  print_evaluation(request, result, dataset->info().class_names);
  return 0;
}

}  // namespace deq
