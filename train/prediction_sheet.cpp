#include "train/prediction_sheet.h"

#include <cmath>

#include "core/counted.h"
#include "core/error.h"
#include "data/contact_sheet.h"

namespace deq {

int class_of_file(const std::filesystem::path& file, std::span<const std::string> class_names) {
  const std::string name = file.filename().string();
  int best = -1;
  std::size_t longest = 0;  // of "sea-0" and "sea-lion-0", the latter is no sea
  for (std::size_t i = 0; i < class_names.size(); ++i) {
    if (class_names[i].size() < longest || !name.starts_with(class_names[i] + "-")) continue;
    best = static_cast<int>(i);
    longest = class_names[i].size();
  }
  return best;
}

SheetSummary write_prediction_sheet(const std::filesystem::path& path, std::span<const Prediction> predictions,
                                    std::span<const ImageSource> sources, const LoadedModel& loaded) {
  const DataConfig& data = loaded.model->config.data;
  const std::vector<std::string>& names = loaded.checkpoint.class_names;
  SheetSummary out;
  std::vector<ContactSheetItem> items;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const Prediction& prediction = predictions[i];
    if (!prediction.error.empty()) continue;
    const ClassProbability& best = prediction.top.front();
    const int truth = class_of_file(prediction.file, names);
    const Verdict verdict = truth < 0 ? Verdict::unknown : truth == best.index ? Verdict::right : Verdict::wrong;
    std::string caption = concat(best.name, " ", std::lround(100 * best.probability), "%");
    if (verdict == Verdict::wrong) caption += "\ntrue: " + names[static_cast<std::size_t>(truth)];
    items.push_back({.image = model_view(sources[i].read(), data), .caption = std::move(caption), .verdict = verdict});
    ++out.shown;
    out.known += truth >= 0 ? 1 : 0;
    out.right += verdict == Verdict::right ? 1 : 0;
  }
  check(!items.empty(), "--sheet", "no image could be read");
  write_contact_sheet(path, items);
  return out;
}

std::string describe(const SheetSummary& summary, const std::filesystem::path& path) {
  std::string text = concat(path.string(), ": ", counted(summary.shown, "image"));
  if (summary.known > 0) text += concat(", ", summary.right, " of ", summary.known, " right");
  return text;
}

}  // namespace deq
