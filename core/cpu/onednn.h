#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/cpu/conv_shape.h"

// The only door to oneDNN (2.6 and 3.x). No vendor type crosses it.

namespace deq::cpu {

/// `bytes` up to a whole number of 64, as addresses in a workspace have to be.
inline std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

enum class ConvRole : std::uint8_t { forward, input_grad, weight_grad };

/// Where an operand's layout comes from.
enum class ConvLayout : std::uint8_t {
  dense,      ///< NHWC (weights [Cout,Cin/g,Kh,Kw]) in the caller's memory and inside the convolution
  inner,      ///< as dense, and the caller's memory has the types of the convolution: what bf16 reads is bf16
  converted,  ///< the caller's memory is dense; oneDNN chooses the inner layout, and each run converts
  chosen,     ///< oneDNN chooses, and the caller's memory has that layout (see OnednnConv::operand_bytes)
};

/// How oneDNN computes. `bf16` is direct with operands rounded to bf16; results and sums stay f32.
enum class ConvMethod : std::uint8_t { direct, winograd, bf16 };

/// What to compute and in which layouts.
struct ConvPlan {
  ConvRole role = ConvRole::forward;
  ConvShape shape;
  ConvMethod method = ConvMethod::direct;
  ConvLayout activations = ConvLayout::dense;
  ConvLayout weights = ConvLayout::converted;
  int threads = 0;  ///< that share a run; 0: the whole pool
};

enum class ConvOperand : std::uint8_t { image, weight, result };

/// One convolution pass on f32 operands, prepared once. Image is x or its gradient, weight w or its gradient, result y
/// or its gradient: forward reads image and weight, input_grad reads result and weight, weight_grad reads image and
/// result.
///
/// All scratch memory comes from the caller. `run` builds nothing of its own; oneDNN's execute call itself makes a few
/// small allocations for its argument table (2.6 and 3.x alike), which its interface does not let a caller avoid.
class OnednnConv {
 public:
  /// Errors: oneDNN has no implementation of the plan.
  explicit OnednnConv(const ConvPlan& plan);
  OnednnConv(OnednnConv&&) noexcept;
  OnednnConv& operator=(OnednnConv&&) noexcept;
  ~OnednnConv();

  /// Scratch of the convolution and its conversions; `bind` wants it 64-byte aligned.
  [[nodiscard]] std::size_t workspace_bytes() const;
  /// Bytes of an operand in the layout the caller provides it.
  [[nodiscard]] std::size_t operand_bytes(ConvOperand operand) const;
  /// Addresses may be constant for operands that the role only reads.
  void bind(const void* image, const void* weight, const void* result, void* workspace);
  void run();
  /// True when this oneDNN can build `plan` (Winograd: only 3x3 of stride 1, and not in every version; bf16: only where
  /// it is more than an emulation).
  [[nodiscard]] static bool supports(const ConvPlan& plan);
  /// oneDNN's name of the chosen implementation, e.g. "brgconv:avx512_core".
  [[nodiscard]] const char* implementation() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reorders weights [Cout,Cin/g,Kh,Kw] into the layout that an OnednnConv of `plan` with weights `chosen` takes.
class OnednnPack {
 public:
  explicit OnednnPack(const ConvPlan& plan);
  OnednnPack(OnednnPack&&) noexcept;
  OnednnPack& operator=(OnednnPack&&) noexcept;
  ~OnednnPack();

  /// Bytes of the packed weights, or 0 when the convolution takes them as they are.
  [[nodiscard]] std::size_t packed_bytes() const;
  [[nodiscard]] std::size_t workspace_bytes() const;
  /// True when both give the same layout from the same weights.
  [[nodiscard]] bool packs_like(const OnednnPack& other) const;
  void bind(const void* weight, void* packed, void* workspace);
  void run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace deq::cpu
