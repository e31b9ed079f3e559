#include "train/commands/predict_labels.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "train/json_text.h"
#include "train/message_line.h"
#include "train/output_folder.h"
#include "train/printable.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

Json prediction_json(const SegmentationPrediction& prediction) {
  if (!prediction.error.empty()) return {{"file", prediction.file}, {"error", prediction.error}};
  Json classes = Json::array();
  for (const ClassShare& entry : prediction.classes)
    classes.push_back({{"class", entry.index}, {"name", entry.name}, {"colour", entry.colour}, {"share", entry.share}});
  Json solver = {{"steps", prediction.solve.steps},
                 {"residual", prediction.solve.residual},
                 {"status", prediction.solve.status_name()}};
  if (prediction.solve.is_out_of_time) solver["out_of_time"] = true;
  return {{"file", prediction.file},
          {"labels", prediction.labels.string()},
          {"overlay", prediction.overlay.string()},
          {"classes", classes},
          {"solver", solver}};
}

void print_prediction(const SegmentationPrediction& prediction) {
  if (!prediction.error.empty()) return;
  std::cout << printable(prediction.file) << ":";
  for (const ClassShare& entry : prediction.classes)
    std::cout << "  " << printable(entry.name) << " (" << entry.colour << ") " << std::round(entry.share * 1000) / 10
              << " %";
  std::cout << "  (" << prediction.solve.text() << ")\n  labels " << printable(prediction.labels.string())
            << ", overlay " << printable(prediction.overlay.string()) << "\n";
}

}  // namespace

int predict_labels(const PredictRequest& request, std::span<const ImageSource> sources, const LoadedModel& loaded,
                   Backend& backend) {
  require(request.sheet.empty(), "--sheet", "is for classification; this model names pixels: see --save-dir");
  make_output_folder(request.save_dir, "--save-dir");
  Progress progress(progress_style(request.run.is_quiet));
  const auto predictions = predict_label_maps(loaded, backend, sources, request.save_dir, shown_on(progress));
  progress.finish();
  Json all = Json::array();
  for (const SegmentationPrediction& prediction : predictions) {
    if (!prediction.error.empty()) std::cerr << "deq: " << message_line(prediction.error) << "\n";
    all.push_back(prediction_json(prediction));
    if (!request.run.is_json) print_prediction(prediction);
  }
  if (request.run.is_json) std::cout << json_text(all);
  const bool has_failed = std::ranges::any_of(predictions, [](const auto& p) { return !p.error.empty(); });
  return predict_status(sources.size(), predictions.size(), has_failed);
}

}  // namespace deq
