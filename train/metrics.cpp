#include "train/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "train/durable_file.h"
#include "train/json_text.h"

namespace deq {

namespace {

using Json = nlohmann::ordered_json;

/// {name: samples} of the statuses that occurred.
Json status_json(const SolveMetrics& solves) {
  Json out = Json::object();
  for (int i = 0; i < kSolveStatusCount; ++i)
    if (const std::int64_t samples = solves.status[static_cast<std::size_t>(i)]; samples > 0)
      out[std::string(name_of(static_cast<SolveStatus>(i)))] = samples;
  return out;
}

Json forward_json(const SolveMetrics& solves) {
  return {{"steps", solves.steps}, {"residual", solves.residual}, {"status", status_json(solves)}};
}

/// Of an evaluation: training steps do not compact.
Json evaluation_json(const SolveMetrics& solves) {
  Json out = forward_json(solves);
  out["evaluations_saved"] = solves.evaluations_saved();
  return out;
}

/// Text of the lines that a run resumed at `step` keeps. Whole lines that are no records count as damaged.
std::string lines_up_to(const std::filesystem::path& file, std::int64_t step, int& damaged) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  const std::string all = text.str();
  std::string kept;
  std::size_t begin = 0;
  for (std::size_t end = all.find('\n'); end != std::string::npos; end = all.find('\n', begin)) {
    const std::string line = all.substr(begin, end + 1 - begin);
    const Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    begin = end + 1;
    if (!record.is_object() || !record.contains("step") || !record["step"].is_number_integer())
      ++damaged;
    else if (record["step"].get<std::int64_t>() <= step)
      kept += line;
  }
  return kept;
}

}  // namespace

std::string_view phase_name(bool is_pretraining) { return is_pretraining ? "pretrain" : "equilibrium"; }

void SolveMetrics::add(const SolveReport& report, int valid, std::span<const std::uint8_t> left_out) {
  const std::size_t rows = valid < 0 ? report.steps.size() : static_cast<std::size_t>(valid);
  std::size_t count = 0;
  double sum_steps = steps * static_cast<double>(samples);
  double sum_residual = samples > 0 ? residual * static_cast<double>(samples) : 0;
  double fallbacks = fallback_fraction * static_cast<double>(samples);
  for (std::size_t i = 0; i < rows; ++i) {
    if (i < left_out.size() && left_out[i] != 0) continue;
    ++count;
    sum_steps += report.steps[i];
    sum_residual += report.residual[i];
    if (i < report.is_fallback.size()) fallbacks += report.is_fallback[i] != 0 ? 1 : 0;
    ++status[static_cast<std::size_t>(report.status[i])];
  }
  samples += static_cast<std::int64_t>(count);
  calls += report.map_calls;
  evaluations += report.sample_evaluations;
  if (report.sample_evaluations > 0)
    whole_evaluations += static_cast<std::int64_t>(report.steps.size()) * report.map_calls;
  out_of_time += report.is_out_of_time ? 1 : 0;
  if (samples == 0) return;
  steps = sum_steps / static_cast<double>(samples);
  residual = sum_residual / static_cast<double>(samples);
  fallback_fraction = fallbacks / static_cast<double>(samples);
}

SolveMetrics joined(const std::vector<SolveMetrics>& slices) {
  check(!slices.empty(), "metrics", "a solve has no slice");
  SolveMetrics out = slices.back();
  for (std::size_t k = 0; k + 1 < slices.size(); ++k) {
    out.steps += slices[k].steps;
    out.calls += slices[k].calls;
  }
  return out;
}

double SolveMetrics::evaluations_saved() const {
  if (whole_evaluations == 0) return 0;
  return 1 - static_cast<double>(evaluations) / static_cast<double>(whole_evaluations);
}

MetricsWriter::MetricsWriter(const std::filesystem::path& file, std::int64_t resumed_step) : file_(file) {
  if (resumed_step >= 0 && std::filesystem::exists(file)) {
    const std::string kept = lines_up_to(file, resumed_step, damaged_lines_);
    // A kill while this is written must not lose the curve, hence not in place.
    write_durably(file, kept);
    out_.open(file, std::ios::binary | std::ios::app);
  } else {
    out_.open(file, std::ios::binary | std::ios::trunc);
  }
  check(out_.good(), file_.string(), "cannot be written");
}

void MetricsWriter::append(const std::string& line) {
  out_ << line + "\n" << std::flush;
  check(out_.good(), file_.string(), "cannot be written (disk full?)");
}

void MetricsWriter::write(const StepRecord& record) {
  Json json = {{"step", record.step},
               {"epoch", record.epoch},
               {"phase", phase_name(record.is_pretraining)},
               {"loss", record.loss},
               {"accuracy", record.accuracy},
               {"lr", record.lr},
               {"images_per_s", record.images_per_s},
               {"forward", forward_json(record.forward)}};
  json["backward"] = {{"estimator", record.estimator},
                      {"calls", record.backward.calls},
                      {"residual", record.backward.residual},
                      {"fallback_fraction", record.backward.fallback_fraction}};
  if (record.jacobian_weight > 0) {
    json["jacobian_penalty"] = record.jacobian_penalty;
    json["jacobian_weight"] = record.jacobian_weight;
  }
  if (record.bad_images > 0) json["bad_images"] = record.bad_images;
  append(json.dump());
}

void MetricsWriter::write(const EvaluationRecord& record) {
  Json json = {{"step", record.step},
               {"epoch", record.epoch},
               {"phase", phase_name(record.is_pretraining)},
               {"split", record.split},
               {"loss", record.loss},
               {"accuracy", record.accuracy},
               {"images", record.images},
               {"images_per_s", record.images_per_s},
               {"forward", evaluation_json(record.forward)}};
  if (record.spectral.samples > 0)
    json["spectral_radius"] = {{"mean", record.spectral.mean},
                               {"max", record.spectral.max},
                               {"change", record.spectral.change},
                               {"samples", record.spectral.samples}};
  if (!std::isnan(record.miou)) json["miou"] = record.miou;
  if (record.bad_images > 0) json["bad_images"] = record.bad_images;
  append(json.dump());
}

std::string summary_json(const RunSummary& summary) {
  Json json = {{"config", summary.config_name},
               {"steps", summary.steps},
               {"total_steps", summary.total_steps},
               {"parameters", summary.parameters},
               {"peak_bytes", summary.peak_bytes},
               {"seconds", summary.seconds},
               {"images_per_s", summary.images_per_s},
               {"train_loss", summary.train_loss},
               {"test_loss", summary.test_loss},
               {"test_accuracy", summary.test_accuracy},
               {"best_accuracy", summary.best_accuracy},
               {"best_step", summary.best_step},
               {"interrupted", summary.is_interrupted},
               {"device", summary.device},
               {"threads", summary.threads}};
  if (!std::isnan(summary.best_miou)) {
    json["test_miou"] = summary.test_miou;
    json["best_miou"] = summary.best_miou;
  }
  if (summary.bad_files > 0) json["bad_files"] = summary.bad_files;
  return json_text(json);
}

void write_summary(const std::filesystem::path& file, const RunSummary& summary) {
  write_durably(file, summary_json(summary));
}

RunSpeed read_speed(const std::filesystem::path& file) {
  std::ifstream in(file);
  const Json json = in ? Json::parse(in, nullptr, /*allow_exceptions=*/false) : Json();
  if (!json.is_object()) return {};
  const auto number = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
  };
  return {.images_per_s = number("images_per_s"), .peak_bytes = static_cast<std::int64_t>(number("peak_bytes"))};
}

}  // namespace deq
