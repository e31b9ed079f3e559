#include "train/commands/data.h"

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/counted.h"
#include "core/error.h"
#include "data/file.h"
#include "data/image.h"
#include "data/integrity.h"
#include "data/pixel_labels.h"
#include "data/published_set.h"
#include "data/tabular.h"
#include "train/checkpoint_folder.h"
#include "train/checkpoint_integrity.h"
#include "train/interrupt.h"
#include "train/json_text.h"
#include "train/output_folder.h"
#include "train/printable.h"
#include "train/progress.h"

namespace deq {
namespace {

using Json = nlohmann::ordered_json;

/// The sample as RGB; grey images get three equal channels.
Image image_of(const Sample& sample, const DatasetInfo& info) {
  const std::int64_t channels = info.image_shape[2];
  require(channels == 1 || channels == 3, "data", "images of '", info.name, "' are ", info.image_shape,
          " but PNG export takes 1 or 3 channels");
  Image image(static_cast<int>(info.image_shape[0]), static_cast<int>(info.image_shape[1]));
  const std::size_t step = channels == 1 ? 3 : 1;
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = sample.pixels[i / step];
  return image;
}

/// "airplane-00012.png": `deq predict --sheet` reads the class back.
std::string file_name(const std::string& class_name, int index) {
  const std::string digits = std::to_string(index);
  return concat(class_name, "-", std::string(5 - std::min<std::size_t>(5, digits.size()), '0'), digits, ".png");
}

/// Writes images/00000.png ... with labels/00000.png ..., and classes.txt: what the set segmentation_folder reads.
Json export_pairs(const Dataset& set, const DataExportRequest& request) {
  constexpr std::int32_t kIgnored = 255;
  const DatasetInfo& info = set.info();
  for (const char* part : {"images", "labels"}) make_output_folder(request.out / part);
  Json files = Json::array();
  for (int i = 0; i < request.count; ++i) {
    stop_if_interrupted();
    const Sample sample = set.sample(i);
    PixelLabels labels(static_cast<int>(info.label_shape[0]), static_cast<int>(info.label_shape[1]), kIgnored);
    for (std::size_t k = 0; k < labels.labels.size(); ++k)
      if (sample.pixel_labels[k] != kNoLabel) labels.labels[k] = sample.pixel_labels[k];
    const std::string name = file_name("scene", i);
    write_png(request.out / "images" / name, image_of(sample, info));
    write_pixel_labels(request.out / "labels" / name, labels);
    files.push_back(
        {{"file", (request.out / "images" / name).string()}, {"labels", (request.out / "labels" / name).string()}});
  }
  std::string names;
  for (const std::string& name : info.class_names) names += name + "\n";
  write_file(request.out / "classes.txt", std::as_bytes(std::span(names)));
  return files;
}

Json export_images(const Dataset& set, const DataExportRequest& request) {
  const DatasetInfo& info = set.info();
  Json files = Json::array();
  for (int i = 0; i < request.count; ++i) {
    stop_if_interrupted();
    const Sample sample = set.sample(i);
    const std::string& name = info.class_names.at(static_cast<std::size_t>(sample.label));
    const std::filesystem::path file = request.out / file_name(name, i);
    write_png(file, image_of(sample, info));
    files.push_back({{"file", file.string()}, {"class", sample.label}, {"name", name}});
  }
  return files;
}

std::string_view name_of(FileState state) {
  switch (state) {
    case FileState::intact: return "intact";
    case FileState::damaged: return "damaged";
    case FileState::missing: return "missing";
  }
  return "";
}

void print_report(const DataVerifyRequest& request, const IntegrityReport& report) {
  if (!request.run.is_json) {
    for (const FileCheck& file : report.files) {
      std::cout << std::left << std::setw(9) << name_of(file.state) << printable(file.file);
      if (file.state == FileState::damaged)
        std::cout << "  (its sum is " << file.found << ", not " << file.expected << ")";
      std::cout << "\n";
    }
    return;
  }
  Json files = Json::array();
  for (const FileCheck& file : report.files)
    files.push_back(
        {{"file", file.file}, {"state", name_of(file.state)}, {"expected", file.expected}, {"found", file.found}});
  std::cout << json_text(
      {{"path", request.path.string()}, {"against", report.against}, {"intact", report.is_intact()}, {"files", files}});
}

}  // namespace

int run_data_list(const DataListRequest& request) {
  constexpr int kNameWidth = 21;
  std::vector<KnownDataset> sets(known_datasets().begin(), known_datasets().end());
  for (const KnownTabularSet& table : known_tabular_sets())
    if (std::ranges::find(sets, table.name, &KnownDataset::name) == sets.end())
      sets.push_back({table.name, "examples for linear models (deq tune)", table.files});
  Json all = Json::array();
  for (const KnownDataset& set : sets) {
    const bool is_published =
        std::ranges::find(published_sets(), set.name, &PublishedSet::name) != published_sets().end();
    all.push_back(
        {{"name", set.name}, {"description", set.description}, {"files", set.files}, {"fetch", is_published}});
    if (!request.run.is_json)
      std::cout << std::left << std::setw(kNameWidth) << set.name << set.description << "\n"
                << std::string(kNameWidth, ' ') << "files: " << set.files
                << (is_published ? concat(" (deq data fetch ", set.name, ")") : "") << "\n";
  }
  if (request.run.is_json) std::cout << json_text(all);
  return 0;
}

int run_data_export(const DataExportRequest& request) {
  const auto set = open_dataset(request.name, data_folder(request.data, ""), split_of(request.split));
  const DatasetInfo& info = set->info();
  require(request.count <= set->size(), "--count", counted(request.count, "image"), " asked for but '", request.name,
          "' has ", set->size(), " in split '", request.split, "'");
  make_output_folder(request.out);
  const Json files = info.label_shape.rank() > 0 ? export_pairs(*set, request) : export_images(*set, request);
  if (request.run.is_json)
    std::cout << json_text({{"name", request.name}, {"split", request.split}, {"files", files}});
  else
    std::cout << "wrote " << counted(request.count, "image") << " to " << request.out.string() << "\n";
  return 0;
}

int run_data_verify(const DataVerifyRequest& request) {
  IntegrityReport report;
  const bool is_checkpoint = std::filesystem::exists(request.path / kManifestFile);
  if (is_checkpoint) {
    report = check_checkpoint(request.path);
  } else {
    Progress progress(progress_style(request.run.is_quiet));
    report = check_integrity(request.path, [&](std::size_t done, std::size_t all) {
      stop_if_interrupted();
      progress.update(
          {.step = static_cast<std::int64_t>(done), .total = static_cast<std::int64_t>(all), .phase = "files"});
    });
  }
  print_report(request, report);
  const auto bad =
      std::ranges::count_if(report.files, [](const auto& file) { return file.state != FileState::intact; });
  require(bad == 0, request.path.string(), bad, " of ", report.files.size(), " files are damaged or missing (",
          report.against, "); ", is_checkpoint ? "use another checkpoint" : "fetch them again");
  return 0;
}

}  // namespace deq
