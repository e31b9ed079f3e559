#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "train/checkpoint.h"
#include "train/model.h"

namespace deq {

/// Images and labels that gradients are compared on.
struct AuditBatch {
  Tensor images;  ///< f32 [B,H,W,C], normalised
  Tensor labels;  ///< i32 [B]
};

struct AuditOptions {
  std::vector<std::string> estimators;  ///< names as in solvers/names.h
  SolverConfig solver;                  ///< forward limits; backward_* are those of the exact adjoint
  /// Called before every program run with runs done and runs in all; returns false to stop early.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};
};

/// One gradient estimator against the exact gradient; means over the batches.
struct EstimatorAudit {
  std::string name;
  double relative_error = 0;  ///< |g - g_exact| / |g_exact|, all parameters as one vector
  double cosine = 0;
  double norm_ratio = 0;              ///< |g| / |g_exact|
  double adjoint_relative_error = 0;  ///< as above for u = (I - J^T)^-1 w
  double adjoint_cosine = 0;
  double map_calls = 0;         ///< evaluations of f in the forward solve
  double vjp_calls = 0;         ///< products with J^T
  double milliseconds = 0;      ///< everything after the loss
  std::size_t extra_bytes = 0;  ///< arena beyond that of the Jacobian-free estimator
  double fallback_fraction = 0;
  double loss = 0;
  NamedTensors gradients;  ///< f32, by parameter name
};

struct AuditResult {
  double forward_residual = 0;  ///< largest over the samples, in the norm of the tolerance
  double exact_residual = 0;    ///< of the adjoint solve, relative, largest over the samples
  int exact_calls = 0;          ///< products with J^T, of the slowest batch
  std::vector<EstimatorAudit> estimators;
};

/// Compares gradient estimators on training-mode graphs (batch statistics) without dropout. Works on a copy: neither
/// parameters nor running statistics of `model` change. All batches have the size of the first.
/// Errors (RequestError): an unknown estimator, a model that does not classify, no batch.
AuditResult audit_gradients(const Model& model, Backend& backend, const std::vector<AuditBatch>& batches,
                            const AuditOptions& options);

/// x [N,C,H,W] and labels [N] (i64 or i32) as batches of `batch` samples; a last partial one is left out.
/// Errors (RequestError): not images or labels of this model, other counts, values that are not finite.
std::vector<AuditBatch> audit_batches(const Model& model, const Tensor& x, const Tensor& labels, int batch);

}  // namespace deq
