#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/graph.h"

namespace deq {

class PixelFeed;
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

/// Memory from `first` on.
struct ByteRange {
  const std::byte* first = nullptr;
  std::size_t bytes = 0;
  [[nodiscard]] bool meets(const ByteRange& other) const {
    return first < other.first + other.bytes && other.first < first + bytes;
  }
};

/// A bound kernel with the memory that it touches; scratch counts as written.
struct BoundLaunch {
  Kernel* kernel = nullptr;
  std::vector<ByteRange> reads, writes;
};

/// Bound kernels that run as if one after the other: a list on the host, a captured graph on a device.
class Segment {
 public:
  virtual ~Segment() = default;
  /// Runs all of them. On a device this returns before they are done; no allocation, no host wait.
  virtual void run() = 0;
};

/// The kernels themselves, in order.
class KernelList final : public Segment {
 public:
  explicit KernelList(std::span<const BoundLaunch> launches) {
    for (const BoundLaunch& launch : launches) kernels_.push_back(launch.kernel);
  }
  void run() override {
    for (Kernel* kernel : kernels_) kernel->run();
  }

 private:
  std::vector<Kernel*> kernels_;
};

/// What a backend is asked to lower.
struct KernelRequest {
  const Op& op;
  std::span<const TensorType> inputs;
  std::span<const TensorType> outputs;
  std::span<const std::uint8_t> output_used;  ///< 0 where the output pointer will be null
  const std::string& label;
};

/// A parameter in a device's memory, shared by all programs of a backend, so that training and evaluation need no
/// transfer. Filled from its tensor when first asked for; after that one of the two may be ahead of the other.
struct ParameterCopy {
  void* data = nullptr;
  bool is_ahead = false;      ///< kernels wrote it after the tensor was written
  std::uint64_t version = 0;  ///< of the tensor when the copy was last written
};

/// A device that can run nodes. Knows nothing of derivatives, rates or solvers.
class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual Device device() const = 0;
  /// Type in which values of `dtype` are kept: f32 becomes f64 on the reference backend.
  [[nodiscard]] virtual DType storage(DType dtype) const { return dtype; }
  /// Zeroed memory for one arena. Errors: the device has less (says how much was asked for and what to change).
  [[nodiscard]] virtual AlignedBytes allocate(std::size_t bytes) { return allocate_aligned(bytes); }
  // Copies of `bytes` bytes. They keep their place in the order of kernels; ranges do not overlap.
  /// Host to backend; `from` may be reused on return.
  virtual void upload(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
  /// Backend to host; `to` is filled on return.
  virtual void download(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
  /// Within the backend; on a device this returns before it is done.
  virtual void copy(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }
  /// Returns when everything asked for so far is done.
  virtual void synchronize() {}
  /// The bound launches as one unit. Their kernels outlive the segment.
  [[nodiscard]] virtual std::unique_ptr<Segment> freeze(std::vector<BoundLaunch> launches) {
    return std::make_unique<KernelList>(launches);
  }
  /// True when launches of a segment that do not depend on each other may run at the same time. Plans then do not make
  /// them depend on each other by sharing memory.
  [[nodiscard]] virtual bool runs_side_by_side() const { return false; }
  /// True where programs work on one copy of each parameter in the device's memory.
  [[nodiscard]] virtual bool keeps_parameters() const { return false; }
  /// That copy, which stays where it is while the tensor lives; null where the backend keeps none.
  [[nodiscard]] virtual ParameterCopy* parameter_copy(const std::shared_ptr<Tensor>& tensor) {
    (void)tensor;
    return nullptr;
  }
  /// Kernel of a node. Errors: none for this op and types (names op, types and label).
  [[nodiscard]] virtual std::unique_ptr<Kernel> lower(const KernelRequest& request) = 0;
  /// True when output 0 may be written over input `input` of equal size.
  [[nodiscard]] virtual bool may_overwrite(const Op& op, std::size_t input) const = 0;
  /// Bytes of PackWeights for these weights, or 0 when the convolution takes them as they are.
  [[nodiscard]] virtual std::int64_t packed_weight_bytes(const PackWeights& pack, const TensorType& weight) const {
    (void)pack, (void)weight;
    return 0;
  }
  /// True when a convolution with packed weights may read the plain ones beside them, not their shape alone.
  [[nodiscard]] virtual bool reads_plain_weights() const { return true; }
  /// True when packing `weight` gives the same bytes under both, as for convolutions that differ in their batch alone.
  [[nodiscard]] virtual bool packs_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight) const {
    (void)weight;
    return a == b;
  }
  /// True when there is a kernel for `block` of x by plain weights `first` and `second`, which rewrites then insert.
  [[nodiscard]] virtual bool has_conv_block(const ConvBlock& block, const TensorType& x, const TensorType& first,
                                            const TensorType& second) const {
    (void)block, (void)x, (void)first, (void)second;
    return false;
  }
  /// True when there is a kernel for `pair` of x, which rewrites then insert.
  [[nodiscard]] virtual bool has_group_norm_pair(const GroupNormPair& pair, const TensorType& x) const {
    (void)pair, (void)x;
    return false;
  }
  /// Vector operations of the solvers.
  [[nodiscard]] virtual StateOps& state_ops() = 0;
  /// Where 8-bit images go that the device normalises itself; null where images are made on the host.
  [[nodiscard]] virtual PixelFeed* pixel_feed() { return nullptr; }
};

}  // namespace deq
