#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "layers/difference_check.h"
#include "layers/gradient_audit.h"
#include "train/checkpoint.h"
#include "train/model.h"

namespace deq {

/// Images and labels that gradients are compared on.
struct AuditBatch {
  Tensor images;  ///< f32 [B,H,W,C], normalised
  Tensor labels;  ///< i32 [B], or [B,H,W] in segmentation, where labels below 0 do not count
};

struct ModelAuditOptions {
  std::vector<std::string> estimators;  ///< names as in solvers/names.h
  SolverConfig solver;                  ///< forward limits; backward_* are those of the exact adjoint
  /// Called before every program run with runs done and runs in all; returns false to stop early.
  std::function<bool(std::int64_t done, std::int64_t total)> progress = {};
};

/// The names of `deq audit`'s default table, those this build knows.
std::vector<std::string> audited_by_default();

/// Compares gradient estimators on training-mode graphs (batch statistics) without dropout. Works on a copy: neither
/// parameters nor running statistics of `model` change. All batches have the size of the first.
/// Errors (RequestError): an unknown estimator, no batch.
AuditResult audit_gradients(const Model& model, Backend& backend, const std::vector<AuditBatch>& batches,
                            const ModelAuditOptions& options);

/// The exact gradient on the first images of a batch against central differences of the loss, with forward and adjoint
/// solved as tightly as f32 allows whatever `solver` says of tolerances. Errors: as audit_gradients.
DifferenceCheck check_gradient(const Model& model, Backend& backend, const AuditBatch& batch,
                               const SolverConfig& solver, const DifferenceOptions& options);

/// x [N,C,H,W] and labels [N], in segmentation [N,H,W] (i64 or i32), as batches of `batch` samples; a last partial one
/// is left out. Pixels labelled -1 or data.ignore_label do not count.
/// Errors (RequestError): not images or labels of this model, other counts, values that are not finite.
std::vector<AuditBatch> audit_batches(const Model& model, const Tensor& x, const Tensor& labels, int batch);

}  // namespace deq
