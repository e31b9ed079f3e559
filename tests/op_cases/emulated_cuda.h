#pragma once

#include <unordered_map>

#include "core/backend.h"
#include "core/state_ops.h"

namespace deq::tests {

/// Kernel of the CUDA backend on the host: the same factories and functors, index by index. Convolutions and products
/// are those of our own that stand in where the vendor's libraries have none.
std::unique_ptr<Kernel> lower_emulated(const KernelRequest& request);
/// The same with blocks and threads from the last to the first.
std::unique_ptr<Kernel> lower_emulated_reversed(const KernelRequest& request);

/// A device made of them, for whole graphs and programs. Its memory may be touched by kernels, copies and solver
/// operations alone (guarded_memory.h); it keeps parameters, freezes segments and joins updates as a device does; in a
/// segment, what depends on little runs as late as it may. The solvers' operations are the device's, without delay.
class EmulatedCuda final : public Backend {
 public:
  /// `kind` is what programs are told; the interpreter wants a host.
  explicit EmulatedCuda(DeviceKind kind = DeviceKind::cuda);
  ~EmulatedCuda() override;

  [[nodiscard]] Device device() const override { return {kind_, 0}; }
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) override;
  void upload(void* to, const void* from, std::size_t bytes) override;
  void download(void* to, const void* from, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  [[nodiscard]] std::unique_ptr<Segment> freeze(std::vector<BoundLaunch> launches) override;
  [[nodiscard]] bool runs_side_by_side() const override { return true; }
  [[nodiscard]] bool keeps_parameters() const override { return true; }
  [[nodiscard]] ParameterCopy* parameter_copy(const std::shared_ptr<Tensor>& tensor) override;
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override;
  [[nodiscard]] std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const override;
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override;
  [[nodiscard]] bool has_group_norm_pair(const GroupNormPair& pair, const TensorType& x) const override;
  [[nodiscard]] StateOps& state_ops() override { return *state_ops_; }

  std::size_t uploaded = 0, downloaded = 0;  ///< bytes over the border so far

 private:
  struct Resident {
    std::shared_ptr<Tensor> tensor;
    AlignedBytes memory;
    ParameterCopy copy;
  };

  DeviceKind kind_;
  std::unique_ptr<StateOps> state_ops_;
  std::unordered_map<const Tensor*, Resident> residents_;
};

}  // namespace deq::tests
