#pragma once

#include <memory>

#include "core/backend.h"
#include "core/cpu/host_state_ops.h"

namespace deq {

/// The oracle: every kernel in double, as plain loops over its definition, on one thread.
///
/// Values of type f32 are kept as f64; integers keep their type. Completeness is enforced by the compiler: an op
/// without a kernel here does not build. Packed weights do not exist here, and equilibrium nodes are run by programs.
/// The solvers' vector operations are the host's, which work on f64 states as well as on f32.
class ReferenceBackend final : public Backend {
 public:
  [[nodiscard]] Device device() const override { return {DeviceKind::reference, 0}; }
  [[nodiscard]] DType storage(DType dtype) const override { return dtype == DType::f32 ? DType::f64 : dtype; }
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override;
  /// Never: every value in memory of its own keeps the oracle free of aliasing.
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override {
    (void)op, (void)input;
    return false;
  }
  [[nodiscard]] StateOps& state_ops() override { return state_ops_; }

 private:
  HostStateOps state_ops_;
};

}  // namespace deq
