#include "core/cpu/conv.h"

#include <type_traits>

#include "core/cpu/kernels.h"
#include "core/cpu/onednn.h"
#include "core/cpu/parallel.h"
#include "core/cpu/rounded_conv.h"
#include "core/cpu/sample_conv.h"
#include "core/cpu/turned_conv.h"

namespace deq::cpu {

namespace {

/// How a pass is computed.
struct Lowering {
  ConvPlan plan;
  bool is_turned = false;  ///< an input gradient as the forward pass of turned weights (core/cpu/turned_conv.h)
};

/// Layouts and method of a pass. Deterministic in its arguments, so that PackWeights and the convolution agree.
///
/// Convolutions work on NHWC. Measured with oneDNN 2.6.3 on a Xeon with AVX-512, batch 32, 2 threads, input gradients:
/// 120 -> 24 at 32x32 5.8 ms on NHWC, 7.7 on blocked activations, 9.3 with conversion to them; 32 -> 160 10.9, 10.8 and
/// 12.4. Forward, oneDNN picks NHWC by itself when the layout is left to it. Gradients in the weights stay f32. Input
/// gradients of bf16 are turned where they can be: oneDNN has none on NHWC for processors with AMX.
Lowering lowering_of(ConvRole role, const ConvShape& shape, const CpuOptions& options, ConvLayout weights) {
  const int threads = threads_for_products(shape.multiply_adds()) == 1 ? 1 : 0;
  const ConvPlan direct{.role = role, .shape = shape, .weights = weights, .threads = threads};
  const bool is_rounded = options.algorithm == ConvAlgorithm::bf16 && multiplies_bf16();
  if (!is_rounded || role == ConvRole::weight_grad) return {direct};
  Lowering rounded{direct};
  rounded.plan.method = ConvMethod::bf16;
  if (role == ConvRole::input_grad && can_turn(shape)) {
    rounded.is_turned = true;
    rounded.plan.role = ConvRole::forward;
    rounded.plan.shape = turned(shape);
  }
  return OnednnConv::supports(rounded.plan) ? rounded : Lowering{direct};  // not for a few channels
}

/// Bytes of the turned weights of a lowering; 0 where it turns none.
std::size_t turned_bytes(const Lowering& lowering) {
  return lowering.is_turned ? static_cast<std::size_t>(lowering.plan.shape.weight().elements()) * sizeof(float) : 0;
}

/// Weights [Cout,Cin,Kh,Kw] of a turned pass as its plan takes them.
void turn(const Lowering& lowering, const void* weight, void* to) {
  turn_weights(turned(lowering.plan.shape), static_cast<const float*>(weight), static_cast<float*>(to));
}

class ConvKernel final : public Kernel {
 public:
  explicit ConvKernel(const Lowering& lowering)
      : lowering_(lowering),
        turns_(lowering.is_turned && lowering.plan.weights != ConvLayout::chosen),
        conv_(lowering.plan) {}

  [[nodiscard]] std::size_t workspace_bytes() const override {
    return aligned(conv_.workspace_bytes()) + (turns_ ? turned_bytes(lowering_) : 0);
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    weight_ = inputs[1];
    turned_ = turns_ ? static_cast<std::byte*>(workspace) + aligned(conv_.workspace_bytes()) : nullptr;
    const void* weight = turns_ ? turned_ : weight_;
    switch (lowering_.plan.role) {
      case ConvRole::forward: return conv_.bind(inputs[0], weight, outputs[0], workspace);
      case ConvRole::input_grad: return conv_.bind(outputs[0], weight, inputs[0], workspace);
      case ConvRole::weight_grad: return conv_.bind(inputs[0], outputs[0], inputs[1], workspace);
    }
  }
  void run() override {
    if (turns_) turn(lowering_, weight_, turned_);
    conv_.run();
  }

 private:
  Lowering lowering_;
  bool turns_;
  OnednnConv conv_;
  const void* weight_ = nullptr;
  void* turned_ = nullptr;
};

/// The plan whose weight layout a lowering takes.
ConvPlan weight_plan(const Lowering& lowering) {
  return SampleConvKernel::fits(lowering.plan) ? SampleConvKernel::of_one(lowering.plan) : lowering.plan;
}

class PackKernel final : public Kernel {
 public:
  explicit PackKernel(const Lowering& lowering) : lowering_(lowering), pack_(weight_plan(lowering)) {}

  [[nodiscard]] std::size_t packed_bytes() const { return pack_.packed_bytes(); }
  [[nodiscard]] std::size_t workspace_bytes() const override {
    return aligned(pack_.workspace_bytes()) + turned_bytes(lowering_);
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    weight_ = inputs[0];
    turned_ = static_cast<std::byte*>(workspace) + aligned(pack_.workspace_bytes());
    pack_.bind(lowering_.is_turned ? turned_ : weight_, outputs[0], workspace);
  }
  void run() override {
    if (lowering_.is_turned) turn(lowering_, weight_, turned_);
    pack_.run();
  }

 private:
  Lowering lowering_;
  OnednnPack pack_;
  const void* weight_ = nullptr;
  void* turned_ = nullptr;
};

std::unique_ptr<Kernel> make_conv(const Lowering& lowering) {
  if (SampleConvKernel::fits(lowering.plan)) return std::make_unique<SampleConvKernel>(lowering.plan);
  return std::make_unique<ConvKernel>(lowering);
}

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

Lowering pack_lowering(const PackWeights& pack, const Shape& weight, const CpuOptions& options) {
  const ConvRole role = pack.pass == ConvPass::forward ? ConvRole::forward : ConvRole::input_grad;
  return lowering_of(role, shape_of(pack.conv, pack.image, weight), options, ConvLayout::chosen);
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
      return make_conv(lowering_of(ConvRole::forward, shape, options, weight.layout));
    } else if constexpr (std::is_same_v<Attributes, Conv2dInputGrad>) {
      const WeightOperand weight = weight_operand(request);
      const ConvShape shape = shape_of(op.conv, request.outputs[0].shape, weight.shape);
      return make_conv(lowering_of(ConvRole::input_grad, shape, options, weight.layout));
    } else if constexpr (std::is_same_v<Attributes, Conv2dWeightGrad>) {
      const ConvShape shape = shape_of(op.conv, first, request.outputs[0].shape);
      return make_conv(lowering_of(ConvRole::weight_grad, shape, options, ConvLayout::converted));
    } else if constexpr (std::is_same_v<Attributes, PackWeights>) {
      auto kernel = std::make_unique<PackKernel>(pack_lowering(op, first, options));
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
  return static_cast<std::int64_t>(PackKernel(pack_lowering(pack, weight.shape, options)).packed_bytes());
}

bool packs_plain_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& weight,
                            const CpuOptions& options) {
  const Lowering one = pack_lowering(a, weight.shape, options), other = pack_lowering(b, weight.shape, options);
  return one.is_turned == other.is_turned && OnednnPack(weight_plan(one)).packs_like(OnednnPack(weight_plan(other)));
}

}  // namespace deq::cpu
