#include "core/cpu/conv.h"

#include <type_traits>

#include "core/cpu/kernels.h"
#include "core/cpu/onednn.h"
#include "core/cpu/rounded_conv.h"

namespace deq::cpu {

namespace {

/// Layouts and method of a pass. Deterministic in its arguments, so that PackWeights and the convolution agree.
///
/// Convolutions work on NHWC. Measured with oneDNN 2.6.3 on a Xeon with AVX-512, batch 32, 2 threads, input gradients:
/// 120 -> 24 at 32x32 5.8 ms on NHWC, 7.7 on blocked activations, 9.3 with conversion to them; 32 -> 160 10.9, 10.8 and
/// 12.4. Forward, oneDNN picks NHWC by itself when the layout is left to it. Gradients in the weights stay f32.
ConvPlan plan_of(ConvRole role, const ConvShape& shape, const CpuOptions& options, ConvLayout weights) {
  const ConvPlan direct{.role = role, .shape = shape, .weights = weights};
  const bool is_rounded = options.algorithm == ConvAlgorithm::bf16 && multiplies_bf16();
  if (!is_rounded || role == ConvRole::weight_grad) return direct;
  ConvPlan rounded = direct;
  rounded.method = ConvMethod::bf16;
  return OnednnConv::supports(rounded) ? rounded : direct;  // not for a few channels
}

class ConvKernel final : public Kernel {
 public:
  explicit ConvKernel(const ConvPlan& plan) : role_(plan.role), conv_(plan) {}

  [[nodiscard]] std::size_t workspace_bytes() const override { return conv_.workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    switch (role_) {
      case ConvRole::forward: return conv_.bind(inputs[0], inputs[1], outputs[0], workspace);
      case ConvRole::input_grad: return conv_.bind(outputs[0], inputs[1], inputs[0], workspace);
      case ConvRole::weight_grad: return conv_.bind(inputs[0], outputs[0], inputs[1], workspace);
    }
  }
  void run() override { conv_.run(); }

 private:
  ConvRole role_;
  OnednnConv conv_;
};

class PackKernel final : public Kernel {
 public:
  explicit PackKernel(const ConvPlan& plan) : pack_(plan) {}

  [[nodiscard]] std::size_t packed_bytes() const { return pack_.packed_bytes(); }
  [[nodiscard]] std::size_t workspace_bytes() const override { return pack_.workspace_bytes(); }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    pack_.bind(inputs[0], outputs[0], workspace);
  }
  void run() override { pack_.run(); }

 private:
  OnednnPack pack_;
};

/// Weights as f32[Cout,Cin/g,Kh,Kw] in operand 1, or packed there with their plain form as operand 2 for the shape.
struct WeightOperand {
  Shape shape;
  ConvLayout layout;
};

WeightOperand weight_operand(const KernelRequest& request) {
  const bool is_packed = request.inputs[1].dtype == DType::u8;
  if (is_packed && request.inputs.size() < 3) no_kernel(request, "packed weights come without their shape");
  return {request.inputs[is_packed ? 2 : 1].shape, is_packed ? ConvLayout::chosen : ConvLayout::converted};
}

ConvPlan pack_plan(const PackWeights& pack, const Shape& weight, const CpuOptions& options) {
  const ConvRole role = pack.pass == ConvPass::forward ? ConvRole::forward : ConvRole::input_grad;
  return plan_of(role, shape_of(pack.conv, pack.image, weight), options, ConvLayout::chosen);
}

}  // namespace

bool plain_conv_multiplies_bf16() { return multiplies_bf16(); }

std::unique_ptr<Kernel> lower_plain_conv(const KernelRequest& request, const CpuOptions& options) {
  const auto lower = [&](const auto& op) -> std::unique_ptr<Kernel> {
    using Attributes = std::decay_t<decltype(op)>;
    const Shape& first = request.inputs[0].shape;
    if constexpr (std::is_same_v<Attributes, Conv2d>) {
      const WeightOperand weight = weight_operand(request);
      const ConvShape shape = shape_of(op, first, weight.shape);
      return std::make_unique<ConvKernel>(plan_of(ConvRole::forward, shape, options, weight.layout));
    } else if constexpr (std::is_same_v<Attributes, Conv2dInputGrad>) {
      const WeightOperand weight = weight_operand(request);
      const ConvShape shape = shape_of(op.conv, request.outputs[0].shape, weight.shape);
      return std::make_unique<ConvKernel>(plan_of(ConvRole::input_grad, shape, options, weight.layout));
    } else if constexpr (std::is_same_v<Attributes, Conv2dWeightGrad>) {
      const ConvShape shape = shape_of(op.conv, first, request.outputs[0].shape);
      return std::make_unique<ConvKernel>(plan_of(ConvRole::weight_grad, shape, options, ConvLayout::converted));
    } else if constexpr (std::is_same_v<Attributes, PackWeights>) {
      auto kernel = std::make_unique<PackKernel>(pack_plan(op, first, options));
      if (static_cast<std::int64_t>(kernel->packed_bytes()) != op.bytes)
        no_kernel(request, concat("packing gives ", kernel->packed_bytes(), " bytes, not ", op.bytes));
      return kernel;
    } else {
      no_kernel(request, "not a convolution");
    }
  };
  return std::visit(lower, request.op);
}

std::int64_t packed_plain_conv_bytes(const PackWeights& pack, const TensorType& weight, const CpuOptions& options) {
  return static_cast<std::int64_t>(OnednnPack(pack_plan(pack, weight.shape, options)).packed_bytes());
}

bool packs_plain_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight,
                            const CpuOptions& options) {
  return OnednnPack(pack_plan(a, weight.shape, options)).packs_like(OnednnPack(pack_plan(b, weight.shape, options)));
}

}  // namespace deq::cpu
