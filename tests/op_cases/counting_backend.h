#pragma once

#include <memory>

#include "core/cpu/backend.h"

namespace deq::tests {

/// The CPU backend, counting the memory that programs ask for.
class CountingBackend final : public Backend {
 public:
  [[nodiscard]] Device device() const override { return cpu_.device(); }
  [[nodiscard]] AlignedBytes allocate(std::size_t bytes) override {
    asked += bytes;
    return cpu_.allocate(bytes);
  }
  [[nodiscard]] std::unique_ptr<Kernel> lower(const KernelRequest& request) override { return cpu_.lower(request); }
  [[nodiscard]] bool may_overwrite(const Op& op, std::size_t input) const override {
    return cpu_.may_overwrite(op, input);
  }
  [[nodiscard]] std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const override {
    return cpu_.packed_weight_bytes(pack, weight);
  }
  [[nodiscard]] bool reads_plain_weights() const override { return cpu_.reads_plain_weights(); }
  [[nodiscard]] StateOps& state_ops() override { return cpu_.state_ops(); }

  std::size_t asked = 0;  ///< bytes

 private:
  CpuBackend cpu_;
};

}  // namespace deq::tests
