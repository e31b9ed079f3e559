#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/program.h"
#include "data/loader.h"
#include "train/jacobian_schedule.h"
#include "train/model.h"
#include "train/optimizer.h"

namespace deq {

/// What one training step computes beside the update.
struct StepResult {
  double loss = 0;              ///< mean over the batch, in segmentation over its pixels that count; of the last state
  double accuracy = 0;          ///< share of right answers, in segmentation of right pixels
  double gradient_norm = 0;     ///< joint, before clipping
  double jacobian_penalty = 0;  ///< mean squared entry of the Jacobian a state element, unweighted; 0 without penalty
};

struct StepOptions {
  int batch = 64;
  bool is_pretraining = false;      ///< unrolled instead of solved
  std::string estimator = "shine";  ///< of the equilibrium phase
  int jacobian_probes = 0;          ///< > 0: the Jacobian penalty, estimated with so many, joins the loss
  int max_steps = 0;                ///< of the forward solve; 0: the configured limit
  bool plans_only = false;          ///< memory is planned, not allocated; see Program::place
  bool stops_in_solves = false;     ///< a signal (interrupt_flag) ends `run` in a solve, with Stopped
};

/// One whole training step compiled into a program: forward solve, loss, backward solve, optimiser update.
class TrainingStep {
 public:
  /// `model`, `optimizer` and `backend` must outlive the step.
  TrainingStep(const Model& model, const Optimizer& optimizer, Backend& backend, const StepOptions& options);

  /// Sets weight and limit of the runs to come, of a step that was made with jacobian_probes.
  void set_penalty(const JacobianDraw& draw);

  /// Runs on one batch. `step` counts optimiser steps already taken; it decides learning rate bias and random draws.
  /// `next`, if known, is the batch to come, whose pixels then travel to the device beside the end of this step.
  StepResult run(const Batch& batch, double lr, std::int64_t step, const Batch* next = nullptr);

  [[nodiscard]] Program& program() { return *program_; }
  [[nodiscard]] const Program& program() const { return *program_; }
  [[nodiscard]] bool is_pretraining() const { return options_.is_pretraining; }

 private:
  void add_penalty(const Model& model, const Mdeq::Output& output, std::span<const Value> parameters,
                   std::vector<Value>& gradient);

  StepOptions options_;
  TrainConfig train_;
  PixelFeed* feed_;
  std::uint64_t seed_;
  Graph graph_{Mode::training};
  Value image_, label_, lr_, count_, loss_, logits_, norm_;  // logits_: any scores [rows, classes] with their order
  Value penalty_, penalty_weight_;                           // empty without penalty
  std::unique_ptr<Program> program_;
  Tensor lr_tensor_, count_tensor_, seed_tensor_, loss_tensor_, logits_tensor_, norm_tensor_;
  Tensor penalty_tensor_{DType::f32, {}}, weight_tensor_{DType::f32, {}};
};

/// Share of the labels >= 0 whose row of `scores` [.., K] is largest at the label; 0 when there is none.
/// labels: one a row of `scores`.
double share_correct(const Tensor& scores, const Tensor& labels);

/// Where segmentation gives scores; classification has one row an image.
enum class ScoreSize : std::uint8_t {
  head,   ///< at the size of branch 0, as the head computes them
  image,  ///< enlarged to the image, as the loss sees them
};

/// A program for inference on batches of one size: logits from images.
class InferenceStep {
 public:
  /// @param image           [B,H,W,C]; B images run together
  /// @param solver          limits to use instead of the model's configuration
  /// @param unrolled_steps  > 0: apply f that often instead of solving
  /// @param plans_only      memory is planned, not allocated; see Program::place
  InferenceStep(const Model& model, Backend& backend, const Shape& image, const SolverConfig& solver,
                int unrolled_steps = 0, bool plans_only = false, ScoreSize size = ScoreSize::head);

  /// images f32 [B,H,W,C] -> logits [B, classes], or [B, rows, columns, classes] (valid until the next call).
  const Tensor& run(const Tensor& images);
  [[nodiscard]] Program& program() { return *program_; }
  [[nodiscard]] int batch() const { return batch_; }

 private:
  int batch_;
  Graph graph_{Mode::inference};
  Value image_, logits_;
  std::unique_ptr<Program> program_;
  Tensor logits_tensor_;
};

}  // namespace deq
