#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/fixed_point.h"

namespace deq {

/// Solves of one or several batches: means over samples, and samples by how their solve ended.
struct SolveMetrics {
  double steps = 0;
  double residual = std::numeric_limits<double>::quiet_NaN();
  std::array<std::int64_t, kSolveStatusCount> status{};
  double fallback_fraction = 0;
  std::int64_t calls = 0;              ///< evaluations of the map
  std::int64_t evaluations = 0;        ///< samples computed by them
  std::int64_t whole_evaluations = 0;  ///< samples they would have computed without compaction
  std::int64_t out_of_time = 0;        ///< solves ended by the time budget
  std::int64_t samples = 0;

  /// Adds the first `valid` samples of a solve (negative: all of them) but those marked in `left_out`, which may be
  /// shorter.
  void add(const SolveReport& report, int valid = -1, std::span<const std::uint8_t> left_out = {});
  /// Share of the evaluations of f that was spared because samples had stopped.
  [[nodiscard]] double evaluations_saved() const;
};

/// One solve that was cut into slices: steps and calls of all of them, the rest of the last. Errors: no slice.
SolveMetrics joined(const std::vector<SolveMetrics>& slices);

/// Spectral radius of df/dz at z* over the images of one batch. NaN: not measured.
struct SpectralMetrics {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double max = std::numeric_limits<double>::quiet_NaN();
  double change = std::numeric_limits<double>::quiet_NaN();  ///< mean movement over the last quarter of its steps
  int samples = 0;                                           ///< images with a result
};

/// One training step. Not-a-number is written as null.
struct StepRecord {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  bool is_pretraining = false;
  double loss = 0;
  double accuracy = 0;
  double lr = 0;
  double images_per_s = 0;  ///< of the steps since the last record, evaluations apart
  SolveMetrics forward = {};
  std::string estimator = {};  ///< "unrolled-K" in pre-training
  SolveMetrics backward = {};
  double jacobian_weight = 0;  ///< of the penalty in this step; 0: it had none
  double jacobian_penalty = 0;
  std::int64_t bad_images = 0;  ///< rows of the batch whose file was bad and replaced; not written when 0
};

/// One evaluation after `step` steps.
struct EvaluationRecord {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  bool is_pretraining = false;
  std::string split = "test";
  double loss = 0;
  double accuracy = 0;
  std::int64_t images = 0;
  double images_per_s = 0;
  SolveMetrics forward = {};
  SpectralMetrics spectral = {};
  double miou = std::numeric_limits<double>::quiet_NaN();  ///< in segmentation; left out otherwise
  std::int64_t bad_images = 0;                             ///< files left out; not written when 0
};

/// "pretrain" or "equilibrium".
std::string_view phase_name(bool is_pretraining);

/// Appends records to metrics.jsonl, one JSON object a line, flushed line by line.
///
/// A run writes the records of a step before it saves the checkpoint of that step. Then a resumed run, which drops
/// what lies beyond its checkpoint, ends with the file of an uninterrupted one (but for the timings).
class MetricsWriter {
 public:
  /// Opens `file`. Keeps the records with a step <= `resumed_step` and drops the rest, a half-written last line and
  /// damaged ones included; negative: starts an empty file. Errors: Error when the file cannot be written.
  explicit MetricsWriter(const std::filesystem::path& file, std::int64_t resumed_step = -1);

  void write(const StepRecord& record);
  void write(const EvaluationRecord& record);
  /// Lines that were dropped because they are no records.
  [[nodiscard]] int damaged_lines() const { return damaged_lines_; }

 private:
  void append(const std::string& line);

  std::filesystem::path file_;
  std::ofstream out_;
  int damaged_lines_ = 0;
};

/// What a finished (or interrupted) run leaves in summary.json.
struct RunSummary {
  std::string config_name;
  std::int64_t steps = 0;
  std::int64_t total_steps = 0;
  std::int64_t parameters = 0;
  std::int64_t peak_bytes = 0;
  double seconds = 0;
  double images_per_s = 0;
  double train_loss = std::numeric_limits<double>::quiet_NaN();
  double test_loss = std::numeric_limits<double>::quiet_NaN();
  double test_accuracy = std::numeric_limits<double>::quiet_NaN();
  double best_accuracy = std::numeric_limits<double>::quiet_NaN();
  double test_miou = std::numeric_limits<double>::quiet_NaN();  ///< in segmentation; left out otherwise
  double best_miou = std::numeric_limits<double>::quiet_NaN();
  std::int64_t best_step = 0;
  std::int64_t bad_files = 0;  ///< found bad by this process; not written when 0
  bool is_interrupted = false;
  std::string device = {};
  int threads = 0;
};

/// The summary as one JSON object over several lines.
std::string summary_json(const RunSummary& summary);

/// Writes it to `file`, all or nothing. Errors: Error naming the file.
void write_summary(const std::filesystem::path& file, const RunSummary& summary);

/// What a summary says of the training itself; zeros where `file` is none.
struct RunSpeed {
  double images_per_s = 0;
  std::int64_t peak_bytes = 0;
};
RunSpeed read_speed(const std::filesystem::path& file);

}  // namespace deq
