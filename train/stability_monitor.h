#pragma once

#include <cstdint>
#include <memory>

#include "core/program.h"
#include "solvers/spectral_policy.h"
#include "train/metrics.h"
#include "train/model.h"

namespace deq {

/// Measures the spectral radius of J = df/dz at z*, image by image, with the model as in inference (running statistics,
/// no dropout). Below 1 plain iteration converges to z*; well above it, solves get hard and gradients large.
class StabilityMonitor {
 public:
  /// @param image  [batch, height, width, channels]: images that are measured at once, and their size
  /// @param steps  products with J^T, >= 1; their vectors are held in memory, steps + 1 states
  /// `model` and `backend` must outlive the monitor.
  StabilityMonitor(const Model& model, Backend& backend, const Shape& image, int steps, bool plans_only = false);

  /// @param images  f32 [batch,H,W,C], normalised
  /// @param valid   the first so many rows count, the others pad
  /// @param draw    together with the model's seed decides the vectors that the measurement starts from
  SpectralMetrics measure(const Tensor& images, int valid, std::int64_t draw);

  /// Of the last measurement, every row.
  [[nodiscard]] const SpectralReport& report() const { return policy_->report(); }
  [[nodiscard]] Program& program() { return *program_; }

 private:
  std::uint64_t seed_;
  std::shared_ptr<const SpectralPolicy> policy_;
  Graph graph_{Mode::inference};
  Value image_;
  std::unique_ptr<Program> program_;
};

/// Images that are measured at an evaluation: few, because each costs steps + 1 states of memory.
int monitored_images(const TrainConfig& train, std::int64_t test_images);

/// u = (I - J^T)^-1 w of the model's equilibrium for random w, as nodes of an inference graph: whatever `policy` does
/// for its adjoint sees v -> J^T v at z*. One value per branch.
std::vector<Value> trace_random_adjoint(const Model& model, Value image,
                                        const std::shared_ptr<const EquilibriumPolicy>& policy);

}  // namespace deq
