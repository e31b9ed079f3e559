#pragma once

#include <cstdint>
#include <memory>

#include "train/stability_monitor.h"
#include "train/step.h"

namespace deq {

/// The programs of one phase of a run: the training step, the same with the Jacobian penalty where it may be drawn,
/// inference and the stability monitor. They run in turn, so they share one arena as large as the largest needs.
class PhasePrograms {
 public:
  /// Compiles and plans, allocates nothing. The configuration is the model's; `test_images` bounds what the monitor
  /// measures at once. `model`, `optimizer` and `backend` must outlive the programs.
  PhasePrograms(const Model& model, const Optimizer& optimizer, Backend& backend, bool is_pretraining,
                std::int64_t test_images);

  [[nodiscard]] std::size_t arena_bytes() const;
  /// To be called once before anything runs.
  void allocate();

  [[nodiscard]] bool is_pretraining() const { return is_pretraining_; }
  /// Errors: the phase has no penalty.
  [[nodiscard]] TrainingStep& training(bool has_penalty);
  [[nodiscard]] InferenceStep& inference() { return *inference_; }
  /// Null where the configuration measures no spectral radius.
  [[nodiscard]] StabilityMonitor* monitor() { return monitor_.get(); }
  /// Brings what a device has trained into the model's tensors.
  void fetch_parameters();

 private:
  [[nodiscard]] std::vector<Program*> programs() const;

  Backend& backend_;
  bool is_pretraining_;
  std::unique_ptr<TrainingStep> plain_, penalised_;
  std::unique_ptr<InferenceStep> inference_;
  std::unique_ptr<StabilityMonitor> monitor_;
};

}  // namespace deq
