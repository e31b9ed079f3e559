#include <optional>

#include "core/cpu/amx_conv.h"
#include "core/cpu/conv.h"
#include "core/cpu/kernels.h"
#include "core/cpu/panel_conv.h"
#include "core/cpu/rounded_conv.h"
#include "core/cpu/vector.h"
#include "core/cpu/winograd.h"
#include "core/cpu/winograd_weight.h"
#include "core/sample_kernel.h"

// Who computes a convolution: Winograd, panels or AMX tiles (our own), or what core/cpu/conv.h has.

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

enum class Method : std::uint8_t { plain, winograd, panel, amx };

/// Depends on shape, pass and policy alone, so that weights are packed as the convolution takes them.
Method method_of(const Pass& pass, const CpuOptions& options) {
  if (options.algorithm == ConvAlgorithm::bf16)
    return AmxConv::fits(pass.shape, pass.is_input_grad) ? Method::amx : Method::plain;
  const bool is_automatic = options.algorithm == ConvAlgorithm::automatic;
  const bool may_transform = is_automatic || options.algorithm == ConvAlgorithm::winograd;
  if (may_transform && WinogradConv::fits(pass.shape) && (!is_automatic || is_faster(pass.shape)))
    return Method::winograd;
  return kRegisterFloats >= 8 && PanelConv::fits(pass.shape, pass.is_input_grad) ? Method::panel : Method::plain;
}

/// A convolution of ours. Weights may come packed (operand 1) with their plain form as operand 2, or plain: then each
/// run packs them.
template <class Conv>
class OwnConvKernel final : public SampleKernel {
 public:
  OwnConvKernel(const Pass& pass, bool is_packed) : conv_(pass.shape, pass.is_input_grad), is_packed_(is_packed) {}

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

  [[nodiscard]] std::int64_t samples() const override { return is_packed_ ? conv_.samples() : 0; }
  [[nodiscard]] std::size_t sample_scratch_bytes() const override { return conv_.sample_scratch_bytes(); }
  void run_sample(std::span<const void* const> inputs, std::span<void* const> outputs, void* scratch) override {
    conv_.run_sample(static_cast<const float*>(inputs[0]), static_cast<const float*>(inputs[1]),
                     static_cast<float*>(outputs[0]), scratch);
  }

 private:
  Conv conv_;
  bool is_packed_;
  const float *from_ = nullptr, *weight_ = nullptr;
  float* to_ = nullptr;
  std::byte* workspace_ = nullptr;
};

template <class Conv>
class OwnPackKernel final : public Kernel {
 public:
  explicit OwnPackKernel(const Pass& pass) : conv_(pass.shape, pass.is_input_grad) {}

  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void*) override {
    weight_ = static_cast<const float*>(inputs[0]);
    packed_ = static_cast<float*>(outputs[0]);
  }
  void run() override { conv_.pack(weight_, packed_); }

 private:
  Conv conv_;
  const float* weight_ = nullptr;
  float* packed_ = nullptr;
};

class WeightGradKernel final : public Kernel {
 public:
  explicit WeightGradKernel(const ConvShape& shape) : grad_(shape) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return grad_.workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    x_ = static_cast<const float*>(inputs[0]);
    g_ = static_cast<const float*>(inputs[1]);
    dw_ = static_cast<float*>(outputs[0]);
    workspace_ = workspace;
  }
  void run() override { grad_.run(x_, g_, dw_, workspace_); }

 private:
  WinogradWeightGrad grad_;
  const float *x_ = nullptr, *g_ = nullptr;
  float* dw_ = nullptr;
  void* workspace_ = nullptr;
};

template <class Conv>
std::unique_ptr<Kernel> make_own(const KernelRequest& request, const Pass& pass) {
  if (std::holds_alternative<PackWeights>(request.op)) return std::make_unique<OwnPackKernel<Conv>>(pass);
  return std::make_unique<OwnConvKernel<Conv>>(pass, request.inputs[1].dtype == DType::u8);
}

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

/// What none of ours takes; rounded here where the processor cannot.
std::unique_ptr<Kernel> lower_plain(const KernelRequest& request, const CpuOptions& options) {
  std::unique_ptr<Kernel> kernel = lower_plain_conv(request, options);
  const bool is_bf16 =
      options.algorithm == ConvAlgorithm::bf16 && !std::holds_alternative<Conv2dWeightGrad>(request.op);
  return is_bf16 && !plain_conv_multiplies_bf16() ? with_rounded_operands(request, std::move(kernel))
                                                  : std::move(kernel);
}

}  // namespace

std::unique_ptr<Kernel> lower_conv(const KernelRequest& request, const CpuOptions& options) {
  if (request.inputs[0].dtype != DType::f32) no_kernel(request, "convolutions are computed in f32");
  if (const auto* op = std::get_if<Conv2dWeightGrad>(&request.op)) {
    const ConvShape shape = shape_of(op->conv, request.inputs[0].shape, request.outputs[0].shape);
    const bool is_winograd = method_of({shape, false}, options) == Method::winograd;
    return is_winograd ? std::make_unique<WeightGradKernel>(shape) : lower_plain(request, options);
  }
  const std::optional<Pass> pass = pass_of(request);
  switch (pass ? method_of(*pass, options) : Method::plain) {
    case Method::winograd: return make_own<WinogradConv>(request, *pass);
    case Method::panel: return make_own<PanelConv>(request, *pass);
    case Method::amx: return make_own<AmxConv>(request, *pass);
    case Method::plain: break;
  }
  return lower_plain(request, options);
}

std::int64_t packed_conv_weight_bytes(const PackWeights& pack, const TensorType& weight, const CpuOptions& options) {
  const Pass pass = pass_of(pack, weight.shape);
  switch (method_of(pass, options)) {
    case Method::winograd:
      return static_cast<std::int64_t>(WinogradConv(pass.shape, pass.is_input_grad).packed_bytes());
    case Method::panel: return static_cast<std::int64_t>(PanelConv(pass.shape, pass.is_input_grad).packed_bytes());
    case Method::amx: return static_cast<std::int64_t>(AmxConv(pass.shape, pass.is_input_grad).packed_bytes());
    case Method::plain: break;
  }
  return packed_plain_conv_bytes(pack, weight, options);
}

bool packs_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight, const CpuOptions& options) {
  const Method method = method_of(pass_of(a, weight.shape), options);
  if (method != method_of(pass_of(b, weight.shape), options)) return false;
  return method == Method::plain ? packs_plain_conv_alike(a, b, weight, options) : a.pass == b.pass;
}

}  // namespace deq::cpu
