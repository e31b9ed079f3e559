#pragma once

#include <memory>
#include <vector>

#include "core/program.h"
#include "layers/gradient_audit.h"

namespace deq {

/// What one program run on one batch gave.
struct AuditRun {
  double loss = 0;
  std::vector<Tensor> gradients;  ///< in the order of the trainable parameters
  std::vector<Tensor> adjoint;    ///< u, one per state
  SolveReport forward;
  SolveReport backward;
  int extra_map_calls = 0;  ///< applications of f after the solve beyond the one that all estimators make
  double milliseconds = 0;  ///< everything after the loss
};

/// Loss, gradients and adjoint of a model under one policy, compiled. Running it updates what training would update
/// beside the parameters (running statistics).
class AuditProgram {
 public:
  enum class Part : std::uint8_t { all, loss, plan };

  /// `model`'s parameters and `backend` must outlive the program. `plan` plans everything and runs nothing.
  AuditProgram(const AuditedModel& model, const AuditPolicy& policy, Backend& backend, Part part = Part::all);

  /// Binds the inputs and runs. Errors: an input that is missing or of another type.
  AuditRun run(const AuditInputs& inputs);
  /// The loss alone, after the parameters may have changed.
  double run_loss(const AuditInputs& inputs);
  [[nodiscard]] std::size_t peak_bytes() const { return program_->peak_bytes(); }

 private:
  void bind(const AuditInputs& inputs);
  void find_adjoint(const AuditedLoss& traced);

  Graph graph_{Mode::training};
  Value loss_;
  std::vector<Value> gradients_, adjoint_;
  int applications_ = 0;
  std::unique_ptr<Program> program_;
};

/// Puts all tensors of a store back to what they held.
class ParameterKeeper {
 public:
  explicit ParameterKeeper(const ParameterStore& store);
  ~ParameterKeeper();
  ParameterKeeper(const ParameterKeeper&) = delete;
  ParameterKeeper& operator=(const ParameterKeeper&) = delete;

 private:
  const ParameterStore& store_;
  std::vector<Tensor> values_;
};

}  // namespace deq
