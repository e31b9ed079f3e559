#include "train/commands/predict.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "data/npy.h"
#include "train/commands/predict_labels.h"
#include "train/interrupt.h"
#include "train/json_text.h"
#include "train/make_backend.h"
#include "train/message_line.h"
#include "train/output_folder.h"
#include "train/prediction_sheet.h"
#include "train/predictor.h"
#include "train/printable.h"
#include "train/solve_json.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

Json prediction_json(const Prediction& prediction) {
  if (!prediction.error.empty()) return {{"file", prediction.file}, {"error", prediction.error}};
  Json top = Json::array();
  for (const ClassProbability& entry : prediction.top)
    top.push_back({{"class", entry.index}, {"name", entry.name}, {"probability", entry.probability}});
  Json solver = {{"steps", prediction.solve.steps},
                 {"residual", prediction.solve.residual},
                 {"status", prediction.solve.status_name()},
                 {"evaluations_saved", prediction.evaluations_saved}};
  if (prediction.solve.is_out_of_time) solver["out_of_time"] = true;
  return {{"file", prediction.file}, {"top", top}, {"solver", solver}};
}

void print_prediction(const Prediction& prediction) {
  if (!prediction.error.empty()) return;
  std::cout << printable(prediction.file) << ":";
  for (const ClassProbability& entry : prediction.top)
    std::cout << "  " << printable(entry.name) << " " << std::round(entry.probability * 1000) / 10 << " %";
  std::cout << "  (" << prediction.solve.text() << ")\n";
}

void report_solves(const PredictRequest& request, const SolveMetrics& solves) {
  if (!request.run.is_quiet && solves.samples > 0)
    std::cerr << "solver " << counted(solves.steps, "step") << " on average, " << spared(solves) << "\n";
}

/// @returns exit status: predict_status
int predict_images(const PredictRequest& request, std::span<const ImageSource> sources, const LoadedModel& loaded,
                   Backend& backend) {
  SolveMetrics solves;
  Progress progress(progress_style(request.run.is_quiet));
  const std::vector<Prediction> predictions =
      predict_files(loaded, backend, sources, request.top_k, solves, shown_on(progress));
  progress.finish();
  const auto has_error = [](const Prediction& p) { return !p.error.empty(); };
  const bool has_failed = std::any_of(predictions.begin(), predictions.end(), has_error);
  if (!has_failed) report_solves(request, solves);  // beside errors stderr holds nothing else
  Json all = Json::array();
  for (const Prediction& prediction : predictions) {
    if (!prediction.error.empty()) std::cerr << "deq: " << message_line(prediction.error) << "\n";
    all.push_back(prediction_json(prediction));
    if (!request.run.is_json) print_prediction(prediction);
  }
  if (request.run.is_json) std::cout << json_text(all);
  if (!request.sheet.empty() && !std::all_of(predictions.begin(), predictions.end(), has_error)) {
    const SheetSummary sheet = write_prediction_sheet(request.sheet, predictions, sources, loaded);
    if (!request.run.is_quiet) std::cerr << printable(describe(sheet, request.sheet)) << "\n";
  }
  return predict_status(sources.size(), predictions.size(), has_failed);
}

void predict_logits(const PredictRequest& request, const LoadedModel& loaded, Backend& backend) {
  SolveMetrics solves;
  Progress progress(progress_style(request.run.is_quiet));
  const Tensor logits = predict_tensor(loaded, backend, read_npy(request.tensor), solves, shown_on(progress));
  progress.finish();
  write_npy(request.save_logits, logits);
  if (request.run.is_json)
    std::cout << json_text({{"images", logits.shape()[0]},
                            {"classes", logits.shape()[1]},
                            {"logits", request.save_logits.string()},
                            {"solver", forward_json(solves)}});
  report_solves(request, solves);
  if (!request.run.is_quiet) std::cerr << "wrote " << printable(request.save_logits.string()) << "\n";
}

}  // namespace

PredictProgress shown_on(Progress& progress) {
  return [&progress](std::int64_t done, std::int64_t total) {
    if (done > 0) progress.update({.step = done, .total = total, .phase = "predict"});
  };
}

int predict_status(std::size_t given, std::size_t answered, bool has_failed) {
  if (answered < given) return kInterruptedStatus;
  if (!has_failed) return 0;
  return given == 1 ? 2 : 1;
}

int run_predict(const PredictRequest& request) {
  check_readable(request.checkpoint);
  check_output_file(request.sheet, "--sheet");
  check_output_file(request.save_logits, "--save-logits");
  require(request.sheet.empty() || request.sheet.extension() == ".png", "--sheet", "'", request.sheet.string(),
          "' should end in .png");
  LoadedModel loaded = load_model(request.checkpoint);
  const bool is_tensor = !request.tensor.empty();
  const GivenKeys given = override_checkpoint(loaded, request.overrides,
                                              is_tensor ? CheckpointUse::predict_tensor : CheckpointUse::predict_files);
  apply(request.limits, loaded.model->config.solver, given);
  const ImageSources sources = image_sources(request.images, std::cin);
  if (!request.run.is_quiet)
    for (const std::string& note : sources.notes) std::cerr << message_line(note) << "\n";
  const std::unique_ptr<Backend> backend = make_backend(request.run.device, loaded.model->config.compute);
  if (!is_tensor && loaded.model->is_segmentation()) return predict_labels(request, sources.images, loaded, *backend);
  if (!is_tensor) return predict_images(request, sources.images, loaded, *backend);
  predict_logits(request, loaded, *backend);
  return 0;
}

}  // namespace deq
