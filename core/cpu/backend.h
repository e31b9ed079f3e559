#pragma once

#include <memory>

#include "core/backend.h"
#include "core/cpu/host_state_ops.h"
#include "core/cpu/options.h"

namespace deq {

/// Float32 kernels for the host: convolutions through oneDNN, matrix products through OpenBLAS, the rest our own,
/// all on the one OpenMP thread pool.
class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(CpuOptions options = {});
  ~CpuBackend() override;

  [[nodiscard]] Device device() const override { return {DeviceKind::cpu, 0}; }
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override;
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override;
  [[nodiscard]] std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const override;
  [[nodiscard]] bool reads_plain_weights() const override { return false; }
  [[nodiscard]] bool packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const override;
  [[nodiscard]] bool has_conv_block(const ConvBlock& block, const TensorType& x, const TensorType& first,
                                    const TensorType& second) const override;
  [[nodiscard]] StateOps& state_ops() override { return state_ops_; }

 private:
  CpuOptions options_;
  HostStateOps state_ops_;
};

}  // namespace deq
