#include <optional>

#include "core/cpu/conv.h"
#include "core/cpu/kernels.h"
#include "core/cpu/vector.h"
#include "core/cpu/winograd.h"

// Who computes a convolution: Winograd (our own), or what core/cpu/conv.h has.

namespace deq::cpu {

namespace {

constexpr std::int64_t kFewestChannels = 8;

/// A forward convolution or an input gradient, by the shape of the forward one.
struct Pass {
  ConvShape shape;
  bool is_input_grad = false;
};

/// True when Winograd is the faster way. Measured against oneDNN's direct convolutions (`deq bench` prints both): it
/// wins for 1 to 32 images of 4x4 to 32x32 pixels and 24 to 1280 channels. It loses where tiles of 4x4 are mostly
/// padding, where channels do not fill a vector, and where a build has no vectors to speak of. The batch has no say,
/// so that an image gets the same result in any batch.
bool is_faster(const ConvShape& shape) {
  const auto tiled = [](std::int64_t n) { return (n + 3) / 4 * 4; };
  const std::int64_t pixels = shape.out_height() * shape.out_width();
  const std::int64_t computed = tiled(shape.out_height()) * tiled(shape.out_width());
  return kRegisterFloats >= 8 && computed <= 2 * pixels && shape.in_channels >= kFewestChannels &&
         shape.out_channels >= kFewestChannels;
}

bool takes_winograd(const ConvShape& shape, const CpuOptions& options) {
  if (!WinogradConv::fits(shape)) return false;
  switch (options.algorithm) {
    case ConvAlgorithm::automatic: return is_faster(shape);
    case ConvAlgorithm::winograd: return true;
    case ConvAlgorithm::direct:
    case ConvAlgorithm::bf16: return false;
  }
  return false;
}

/// Weights may come packed (operand 1) with their plain form as operand 2, or plain: then each run packs them.
class WinogradKernel final : public Kernel {
 public:
  WinogradKernel(const Pass& pass, bool is_packed) : conv_(pass.shape, pass.is_input_grad), is_packed_(is_packed) {}

  [[nodiscard]] std::size_t workspace_bytes() const override {
    return conv_.workspace_bytes() + (is_packed_ ? 0 : conv_.packed_bytes());
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    from_ = static_cast<const float*>(inputs[0]);
    weight_ = static_cast<const float*>(inputs[1]);
    to_ = static_cast<float*>(outputs[0]);
    workspace_ = static_cast<std::byte*>(workspace);
  }
  void run() override {
    if (is_packed_) return conv_.run(from_, weight_, to_, workspace_);
    auto* packed = reinterpret_cast<float*>(workspace_ + conv_.workspace_bytes());
    conv_.pack(weight_, packed);
    conv_.run(from_, packed, to_, workspace_);
  }

 private:
  WinogradConv conv_;
  bool is_packed_;
  const float *from_ = nullptr, *weight_ = nullptr;
  float* to_ = nullptr;
  std::byte* workspace_ = nullptr;
};

class WinogradPackKernel final : public Kernel {
 public:
  explicit WinogradPackKernel(const Pass& pass) : conv_(pass.shape, pass.is_input_grad) {}

  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void*) override {
    weight_ = static_cast<const float*>(inputs[0]);
    packed_ = static_cast<float*>(outputs[0]);
  }
  void run() override { conv_.pack(weight_, packed_); }

 private:
  WinogradConv conv_;
  const float* weight_ = nullptr;
  float* packed_ = nullptr;
};

Pass pass_of(const PackWeights& pack, const Shape& weight) {
  return {shape_of(pack.conv, pack.image, weight), pack.pass == ConvPass::input_grad};
}

/// The pass that a node asks for; nothing for gradients in the weights.
std::optional<Pass> pass_of(const KernelRequest& request) {
  const auto weight = [&]() -> const Shape& {
    const bool is_packed = request.inputs[1].dtype == DType::u8;
    if (is_packed && request.inputs.size() < 3) no_kernel(request, "packed weights come without their shape");
    return request.inputs[is_packed ? 2 : 1].shape;
  };
  if (const auto* op = std::get_if<Conv2d>(&request.op))
    return Pass{shape_of(*op, request.inputs[0].shape, weight()), false};
  if (const auto* op = std::get_if<Conv2dInputGrad>(&request.op))
    return Pass{shape_of(op->conv, request.outputs[0].shape, weight()), true};
  if (const auto* op = std::get_if<PackWeights>(&request.op)) return pass_of(*op, request.inputs[0].shape);
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Kernel> lower_conv(const KernelRequest& request, const CpuOptions& options) {
  if (request.inputs[0].dtype != DType::f32) no_kernel(request, "convolutions are computed in f32");
  const std::optional<Pass> pass = pass_of(request);
  if (!pass || !takes_winograd(pass->shape, options)) return lower_plain_conv(request, options);
  if (std::holds_alternative<PackWeights>(request.op)) return std::make_unique<WinogradPackKernel>(*pass);
  return std::make_unique<WinogradKernel>(*pass, request.inputs[1].dtype == DType::u8);
}

std::int64_t packed_conv_weight_bytes(const PackWeights& pack, const TensorType& weight, const CpuOptions& options) {
  const Pass pass = pass_of(pack, weight.shape);
  if (!takes_winograd(pass.shape, options)) return packed_plain_conv_bytes(pack, weight, options);
  return static_cast<std::int64_t>(WinogradConv(pass.shape, pass.is_input_grad).packed_bytes());
}

bool packs_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight, const CpuOptions& options) {
  const bool a_takes = takes_winograd(pass_of(a, weight.shape).shape, options);
  const bool b_takes = takes_winograd(pass_of(b, weight.shape).shape, options);
  if (a_takes != b_takes) return false;
  return a_takes ? a.pass == b.pass : packs_plain_conv_alike(a, b, weight, options);
}

}  // namespace deq::cpu
