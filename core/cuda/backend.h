#pragma once

#include <memory>

#include "core/backend.h"
#include "core/cuda/options.h"

namespace deq {

/// Kernels for one NVIDIA GPU: convolutions through cuDNN, matrix products through cuBLASLt, the rest our own, all on
/// one stream. Programs keep their arena and their parameters on the device; segments become CUDA graphs.
class CudaBackend final : public Backend {
 public:
  /// Errors: no such device, or no driver (names the reason).
  explicit CudaBackend(int index = 0, CudaOptions options = {});
  ~CudaBackend() override;

  [[nodiscard]] Device device() const override;
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) override;
  void upload(void* to, const void* from, std::size_t bytes) override;
  void download(void* to, const void* from, std::size_t bytes) override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void synchronize() override;
  [[nodiscard]] std::unique_ptr<Segment> freeze(std::vector<BoundLaunch> launches) override;
  [[nodiscard]] bool runs_side_by_side() const override { return true; }
  [[nodiscard]] bool keeps_parameters() const override { return true; }
  [[nodiscard]] ParameterCopy* parameter_copy(const std::shared_ptr<Tensor>& tensor) override;
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override;
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override;
  [[nodiscard]] std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const override;
  [[nodiscard]] bool packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const override;
  [[nodiscard]] bool has_group_norm_pair(const GroupNormPair& pair, const TensorType& x) const override;
  [[nodiscard]] StateOps& state_ops() override;
  [[nodiscard]] PixelFeed* pixel_feed() override;

  [[nodiscard]] const CudaOptions& options() const;
  /// How often the host has waited for the device so far.
  [[nodiscard]] std::size_t waits() const;
  /// Segments that run as graphs, and those whose capture the driver refused.
  [[nodiscard]] std::size_t captured_segments() const;
  [[nodiscard]] std::size_t uncaptured_segments() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace deq
