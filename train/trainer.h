#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "train/evaluator.h"
#include "train/folder_lock.h"
#include "train/jacobian_schedule.h"
#include "train/metrics.h"
#include "train/phase_programs.h"
#include "train/progress.h"
#include "train/schedule.h"

namespace deq {

/// What a run is about beside its configuration.
struct TrainerOptions {
  std::filesystem::path out;  ///< RUN_DIR
  bool is_resume = false;
  std::int64_t max_steps = 0;  ///< stop, saved, once the run has this many steps; 0: no limit
  bool is_quiet = false;
  int threads = 0;                    ///< for the summary
  NamedTensors initial_weights = {};  ///< take the place of drawn tensors where a run begins (train/initial_weights.h)
};

/// Steps of a whole run: `train.total_steps`, or from epochs.
std::int64_t total_steps(const TrainConfig& train, std::int64_t train_images);

/// Trains a model: pre-training by unrolling, then the equilibrium phase; evaluates, logs, saves and resumes.
///
/// Every step is a function of the configuration, the step number and the saved state, so a run that is interrupted
/// anywhere and resumed ends on the bits of an uninterrupted one (same device and threads).
class Trainer {
 public:
  /// Errors (RequestError): RUN_DIR holds another run; another process trains in it.
  Trainer(const Config& config, std::shared_ptr<const Dataset> train_set, std::shared_ptr<const Dataset> test_set,
          Backend& backend, TrainerOptions options);

  /// @returns what the run amounts to so far; `is_interrupted` when a signal ended it. Files are complete on return.
  /// Errors: the loss or a parameter to be saved is not finite (names the step and what to do).
  RunSummary run();

 private:
  using Clock = std::chrono::steady_clock;

  void resume();
  void train_until(std::int64_t last);
  /// The programs of the phase, compiled when it begins.
  PhasePrograms& programs(bool is_pretraining);
  void check_finite(const StepResult& result) const;
  /// What to do when a value is no longer finite.
  [[nodiscard]] std::string way_back() const;
  enum class Direction : std::uint8_t { forward, backward };
  /// What the solves of the step's slices report, together.
  [[nodiscard]] SolveMetrics solves(const TrainingStep& taken, Direction direction) const;
  void log_step(const TrainingStep& taken, const StepResult& result, const Batch& batch, double lr);
  /// As evaluate_whole; an interruption in the middle leaves nothing of it.
  void evaluate_now();
  void evaluate_whole();
  [[nodiscard]] SpectralMetrics measured_stability();
  [[nodiscard]] std::set<std::string> bad_files() const;
  void note_bad_files();
  void save(const std::filesystem::path& folder);
  void save_last();
  [[nodiscard]] bool is_pretraining() const { return step_ < config_.train.pretrain_steps; }
  [[nodiscard]] bool is_due(std::int64_t every) const { return every > 0 && (step_ % every == 0 || step_ == total_); }
  [[nodiscard]] std::int64_t eval_every() const;
  [[nodiscard]] double seconds() const;
  [[nodiscard]] RunSummary summary() const;
  [[nodiscard]] Checkpoint checkpoint() const;

  Config config_;
  std::shared_ptr<const Dataset> train_set_, test_set_;
  Backend& backend_;
  TrainerOptions options_;
  Model model_;
  Optimizer optimizer_;
  std::int64_t total_;
  Schedule schedule_;
  JacobianSchedule jacobian_;
  Progress progress_;
  std::unique_ptr<FolderLock> lock_;  ///< of RUN_DIR
  std::unique_ptr<MetricsWriter> metrics_;
  std::unique_ptr<PhasePrograms> programs_;

  std::int64_t step_ = 0;  ///< optimiser steps taken
  std::int64_t epoch_ = 0;
  double best_score_ = -1;  ///< see score_of
  std::int64_t best_step_ = 0;
  std::int64_t evaluated_step_ = 0;
  std::int64_t saved_step_ = -1;  ///< of checkpoints/last; -1: there is none
  std::size_t noted_bad_files_ = 0;
  double earlier_seconds_ = 0;
  RunSpeed earlier_speed_;
  Clock::time_point start_ = Clock::now();
  double images_per_s_ = 0;  ///< running mean
  std::int64_t images_since_record_ = 0;
  double seconds_since_record_ = 0;
  std::size_t peak_bytes_ = 0;
  double last_radius_ = -1;
  JacobianDraw jacobian_draw_;
  StepResult last_result_;
  Evaluation last_evaluation_;
};

}  // namespace deq
