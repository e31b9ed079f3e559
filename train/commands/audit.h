#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/commands/options.h"

namespace deq {

// Of the exact adjoint, unless something else is asked for: where float32 stops gaining, and enough steps to get there.
inline constexpr double kExactTolerance = 1e-6;
inline constexpr int kExactSteps = 200;

/// deq audit CKPT
struct AuditRequest {
  RunOptions run;
  std::filesystem::path checkpoint;
  std::filesystem::path data;           ///< first training images of the configured set, when there is no `tensor`
  std::filesystem::path tensor;         ///< normalised images, .npy f32[N,C,H,W]
  std::filesystem::path labels;         ///< .npy i64[N]
  std::vector<std::string> estimators;  ///< every name has been checked
  std::vector<std::string> overrides;   ///< --set section.key=value
  int batch = 0;                        ///< 0: all of `tensor`, or as configured
  int batches = 0;                      ///< 0: all of `tensor`, or 1
  std::optional<double> tolerance;      ///< of the forward solve and of the exact adjoint
  std::optional<int> max_steps;         ///< of both
  std::filesystem::path save_gradients;
  std::filesystem::path plot;  ///< .svg or .png
  int differences = 2;         ///< directions of the check by central differences; 0: none
};

/// Compares gradient estimators with the exact implicit gradient. @returns exit status
int run_audit(const AuditRequest& request);

}  // namespace deq
