#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/metrics.h"

namespace deq {

/// What a training run has left in its folder. What a record does not tell is not-a-number.
struct RunHistory {
  std::filesystem::path folder;
  std::string name;  ///< of the folder; unique among the runs read together
  std::vector<StepRecord> training = {};
  std::vector<EvaluationRecord> evaluations = {};
  std::optional<RunSummary> summary =
      std::nullopt;  ///< none: the run has not ended yet, or goes on after the one that is there
  std::optional<Config> config = std::nullopt;
  std::vector<std::string> notes = {};  ///< what was left out, and why
};

/// Reads metrics.jsonl, and config.toml and summary.json where they are. A last line without an end, which a running
/// or killed process leaves, is skipped with a note.
/// Errors: RequestError for a folder without metrics.jsonl or without a training step, and with file:line for a line
/// that is no record.
RunHistory read_run_history(const std::filesystem::path& folder);

/// Several runs; folders of one name get as much of their path as tells them apart.
/// Errors: as above; RequestError for a folder given twice.
std::vector<RunHistory> read_run_histories(std::span<const std::filesystem::path> folders);

/// The gradient estimators of a run in the order of their first use.
std::vector<std::string> estimators_of(const RunHistory& run);

}  // namespace deq
