#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/graph.h"

namespace deq {

class StateOps;

/// One bound launch. Built when a program is compiled, bound to addresses once, then run without allocation.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// Scratch memory needed while `run` executes; planned into the arena.
  [[nodiscard]] virtual std::size_t workspace_bytes() const { return 0; }
  /// `inputs` and `outputs` follow the node; an output nobody reads is null and must not be written.
  virtual void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) = 0;
  virtual void run() = 0;
};

/// What a backend is asked to lower.
struct KernelRequest {
  const Op& op;
  std::span<const TensorType> inputs;
  std::span<const TensorType> outputs;
  std::span<const std::uint8_t> output_used;  ///< 0 where the output pointer will be null
  const std::string& label;
};

/// A device that can run nodes. Knows nothing of derivatives, rates or solvers.
class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual Device device() const = 0;
  /// Type in which values of `dtype` are kept: f32 becomes f64 on the reference backend.
  [[nodiscard]] virtual DType storage(DType dtype) const { return dtype; }
  /// Zeroed memory for one arena.
  [[nodiscard]] virtual AlignedBytes allocate(std::size_t bytes) { return allocate_aligned(bytes); }
  /// Kernel of a node. Errors: none for this op and types (names op, types and label).
  [[nodiscard]] virtual std::unique_ptr<Kernel> lower(const KernelRequest& request) = 0;
  /// True when output 0 may be written over input `input` of equal size.
  [[nodiscard]] virtual bool may_overwrite(const Op& op, std::size_t input) const = 0;
  /// Bytes of PackWeights for these weights, or 0 when the convolution takes them as they are.
  [[nodiscard]] virtual std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const {
    (void)pack, (void)weight;
    return 0;
  }
  /// True when packing `weight` gives the same bytes under both, as for convolutions that differ in their batch alone.
  [[nodiscard]] virtual bool packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const {
    (void)weight;
    return a == b;
  }
  /// Vector operations of the solvers.
  [[nodiscard]] virtual StateOps& state_ops() = 0;
};

}  // namespace deq
