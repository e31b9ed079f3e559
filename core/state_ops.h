#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/fixed_point.h"
#include "core/tensor.h"

namespace deq {

/// Samples an operation touches: nonzero entries of [batch]; an empty mask means all. Rows of other samples are
/// neither read nor written.
using SampleMask = std::span<const std::uint8_t>;

/// Several states of one layout behind each other in memory.
struct StateStack {
  void* data = nullptr;
  std::size_t stride_bytes = 0;

  [[nodiscard]] StateView at(int slot) const {
    return {static_cast<std::byte*>(data) + static_cast<std::size_t>(slot) * stride_bytes};
  }
};
/// A stack of one.
inline StateStack single(StateView state) { return {state.data, 0}; }

/// Added to |f| in a relative residual, as in the reference implementations of DEQs.
inline constexpr double kRelativeFloor = 1e-9;

/// r = f - z with its norms, and the best iterate so far, in one visit of each sample.
/// objective = |r|, or |r| / (|f| + kRelativeFloor) when `is_relative`. Where it is finite and below best_objective, z
/// is copied to `best`, best_objective is lowered and `improved` set to 1 (else 0).
struct ResidualRequest {
  StateView z;
  StateView f;
  StateView r;     ///< not written when null
  StateView best;  ///< not written when null
  bool is_relative = true;
  std::span<double> residual_norm;   ///< [batch] |r|, out
  std::span<double> objective;       ///< [batch] out; infinite when f or z is not finite
  std::span<double> best_objective;  ///< [batch] in and out
  std::span<std::uint8_t> improved;  ///< [batch] out
};

/// M = prod_k (I + c_k s_{k+1} s_k^T), k = 0 .. rank - 1, later factors on the left; c_k = 1 / |s_k|^2, or 0 where an
/// update was skipped.
struct ProductFactors {
  StateStack steps;                     ///< s_0, s_1, ..., elements of type `stored`
  std::span<const double> coefficient;  ///< [slots, batch] c_k
  std::span<const int> rank;            ///< [batch]
  DType stored = DType::f32;            ///< the type of the states, or bf16 (StateOps::stores_steps_as)
};

/// One step of Broyden's method in product form. Slot `index` of `steps` holds r (M0 r when M starts at M0) on entry
/// and the new step s on return:
///   p = M r with the links 0 .. index - 2,  s = p / (1 - c (s_last . p)),  z += s where `advance` is set.
/// Link index - 1 is kept unless |1 - c (s_last . p)| < breakdown: then c_{index-1} = 0, s = p and `broke` is set to 1.
/// With `stored` bf16 r lies in `residual` instead, which p overwrites; the slot receives s rounded, z moves by s
/// itself, and c_index is that of the rounded step.
struct ProductStep {
  StateStack steps;  ///< elements of type `stored`
  int index = 0;
  std::span<double> coefficient;  ///< [slots, batch]; c_index is written, c_{index-1} may be zeroed
  StateView z;
  SampleMask advance;
  double breakdown = 1e-6;
  std::span<std::uint8_t> broke;  ///< [batch] out
  DType stored = DType::f32;      ///< the type of the states, or bf16
  StateView residual{};           ///< read only where `stored` is bf16
};

/// M = alpha I + sum_k u_k v_k^T, k = 0 .. rank - 1.
struct LowRankFactors {
  double alpha = 1.0;
  StateStack u;
  StateStack v;
  std::span<const int> rank;  ///< [batch]
};

enum class Transposition : std::uint8_t { none, transposed };

/// Most states that StateOps::recombine mixes.
inline constexpr int kMostRecombined = 64;

/// Vector operations of the solvers on states under a StateSpec (f32 or f64).
///
/// Every operation works on samples separately: the result of a sample depends on its own rows only, bit for bit, not
/// on batch mates, masks or the number of threads. Dots accumulate in double, blocks of a few products in the type of
/// the state. Scalars per sample live in host memory and are valid on return, but for those of `product_step`, which
/// are valid after the next `settle`: on a device that runs behind the host, a solver's step is thus queued without
/// waiting for it. Nothing allocates after the first use; nothing throws but for a device that failed.
class StateOps {
 public:
  virtual ~StateOps() = default;
  /// True where the steps of a product form may be kept in this type under states of type `state`.
  [[nodiscard]] virtual bool stores_steps_as(DType stored, DType state) const { return stored == state; }
  /// Zeroed memory for states of a solver's own, which these operations can reach.
  [[nodiscard]] virtual AlignedBytes allocate(std::size_t bytes) { return allocate_aligned(bytes); }
  /// to = from.
  virtual void copy(const StateSpec& spec, StateView from, StateView to, SampleMask samples) = 0;
  virtual void fill(const StateSpec& spec, StateView out, double value, SampleMask samples) = 0;
  /// out = scale out + sum_k coefficient[k, b] x_k for k < count. `out` may be one of the x_k; it is not read when
  /// scale is 0, and x_k is not read where its coefficient is 0. coefficient is [count, batch].
  virtual void combine(const StateSpec& spec, double scale, std::span<const double> coefficient, StateStack x,
                       int count, StateView out, SampleMask samples) = 0;
  /// x_j = sum_k coefficient[j, k, b] x_k for j < kept and k < count, in place; coefficient is [kept, count, batch],
  /// kept <= count <= kMostRecombined. States from `kept` on keep their values.
  virtual void recombine(const StateSpec& spec, StateStack x, int count, int kept, std::span<const double> coefficient,
                         SampleMask samples) = 0;
  /// dots[k, b] = x_k . y for k < count; dots is [count, batch].
  virtual void dots(const StateSpec& spec, StateStack x, int count, StateView y, std::span<double> dots,
                    SampleMask samples) = 0;
  /// Row to_rows[i] of `to` = row from_rows[i] of `from`, rows of `row_bytes` bytes. No row of `to` appears twice.
  virtual void copy_rows(const void* from, std::span<const int> from_rows, void* to, std::span<const int> to_rows,
                         std::size_t row_bytes) = 0;
  virtual void residual(const StateSpec& spec, const ResidualRequest& request, SampleMask samples) = 0;
  /// Scalars of `step` are written by the next `settle`, `residual` or `dots` at the latest.
  virtual void product_step(const StateSpec& spec, const ProductStep& step, SampleMask samples) = 0;
  /// out = M x or M^T x; out may be x. Each factor is read once.
  virtual void apply_product(const StateSpec& spec, const ProductFactors& factors, Transposition transposition,
                             StateView x, StateView out, SampleMask samples) = 0;
  /// out = M x or M^T x; out must not overlap x.
  virtual void apply_low_rank(const StateSpec& spec, const LowRankFactors& factors, Transposition transposition,
                              StateView x, StateView out, SampleMask samples) = 0;
  /// Every scalar asked for so far is in its place. Does nothing where operations run at once.
  virtual void settle() {}
  /// Times the host has waited for the device in these operations.
  [[nodiscard]] virtual std::int64_t host_waits() const { return 0; }
};

}  // namespace deq
