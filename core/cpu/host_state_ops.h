#pragma once

#include "core/state_ops.h"

namespace deq {

/// StateOps on host memory: OpenMP over samples, one thread per sample, so that a sample's vectors stay in its
/// core's cache while the stored factors stream by once. Threads change nothing in the result.
class HostStateOps final : public StateOps {
 public:
  [[nodiscard]] bool stores_steps_as(DType stored, DType state) const override;
  void copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) override;
  void fill(const StateSpec& spec, StateView out, double value, SampleMask samples) override;
  void combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x, int count,
               StateView out, SampleMask samples) override;
  void recombine(const StateSpec& spec, StateStack x, int count, int kept, std::span<const double> coefficient,
                 SampleMask samples) override;
  void dots(const StateSpec& spec, StateStack x, int count, StateView y, std::span<double> dots,
            SampleMask samples) override;
  void copy_rows(const void* from, std::span<const int> from_rows, void* to, std::span<const int> to_rows,
                 std::size_t row_bytes) override;
  void residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) override;
  void product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) override;
  void apply_product(const StateSpec& spec, const ProductFactors& factors, Transposition transposition, StateView x,
                     StateView out, SampleMask samples) override;
  void apply_low_rank(const StateSpec& spec, const LowRankFactors& factors, Transposition transposition, StateView x,
                      StateView out, SampleMask samples) override;
};

}  // namespace deq
