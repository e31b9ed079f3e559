#include <algorithm>

#include "core/cpu/conv.h"
#include "core/cpu/conv_shape.h"
#include "core/cpu/conv_unit.h"
#include "core/cpu/gemm.h"
#include "core/cpu/kernels.h"

// Convolutions without oneDNN: one image at a time, patches [H'W', Cin/g Kh Kw] times weights. Correct and portable,
// not fast; takes the place of conv.cpp when the build leaves oneDNN out.

namespace deq::cpu {

namespace {

enum class Pass : std::uint8_t { forward, input_grad, weight_grad };

class GemmConvKernel final : public Kernel {
 public:
  GemmConvKernel(Pass pass, const ConvShape& shape) : pass_(pass), shape_(shape) {}

  [[nodiscard]] std::size_t workspace_bytes() const override {
    return static_cast<std::size_t>(pixels() * patch()) * sizeof(float);
  }

  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    for (std::size_t i = 0; i < 2; ++i) inputs_[i] = static_cast<const float*>(inputs[i]);
    output_ = static_cast<float*>(outputs[0]);
    patches_ = static_cast<float*>(workspace);
  }

  void run() override {
    const std::int64_t image = shape_.height * shape_.width * shape_.in_channels;
    const std::int64_t result = pixels() * shape_.out_channels;
    if (pass_ == Pass::input_grad) std::fill_n(output_, shape_.batch * image, 0.0f);
    for (std::int64_t b = 0; b < shape_.batch; ++b)
      for (std::int64_t g = 0; g < shape_.conv.groups; ++g) switch (pass_) {
          case Pass::forward: forward(inputs_[0] + b * image, output_ + b * result, g); break;
          case Pass::input_grad: input_grad(inputs_[0] + b * result, output_ + b * image, g); break;
          case Pass::weight_grad: weight_grad(inputs_[0] + b * image, inputs_[1] + b * result, g, b > 0); break;
        }
  }

 private:
  [[nodiscard]] std::int64_t pixels() const { return shape_.out_height() * shape_.out_width(); }
  [[nodiscard]] std::int64_t in_group() const { return shape_.in_channels / shape_.conv.groups; }
  [[nodiscard]] std::int64_t out_group() const { return shape_.out_channels / shape_.conv.groups; }
  [[nodiscard]] std::int64_t patch() const { return in_group() * shape_.kernel_h * shape_.kernel_w; }

  void forward(const float* x, float* y, std::int64_t group) {
    gather_patches(x, group);
    const float* w = inputs_[1] + group * out_group() * patch();
    multiply(pixels(), out_group(), patch(), {patches_, patch()}, {w, patch(), true}, y + group * out_group(),
             shape_.out_channels);
  }

  void input_grad(const float* g, float* dx, std::int64_t group) {
    const float* w = inputs_[1] + group * out_group() * patch();
    multiply(pixels(), patch(), out_group(), {g + group * out_group(), shape_.out_channels}, {w, patch()}, patches_,
             patch());
    const std::int64_t base = group * in_group();
    visit_patches([&](std::int64_t i, std::int64_t pixel) {
      if (pixel >= 0) dx[pixel + base] += patches_[i];
    });
  }

  void weight_grad(const float* x, const float* g, std::int64_t group, bool adds) {
    gather_patches(x, group);
    multiply(out_group(), patch(), pixels(), {g + group * out_group(), shape_.out_channels, true}, {patches_, patch()},
             output_ + group * out_group() * patch(), patch(), adds);
  }

  void gather_patches(const float* x, std::int64_t group) {
    const std::int64_t base = group * in_group();
    visit_patches([&](std::int64_t i, std::int64_t pixel) { patches_[i] = pixel < 0 ? 0.0f : x[pixel + base]; });
  }

  /// visit(index in patches, index in the image of channel 0 of the group or -1 in the padding).
  template <class Visit>
  void visit_patches(const Visit& visit) const {
    std::int64_t i = 0;
    for (std::int64_t row = 0; row < shape_.out_height(); ++row)
      for (std::int64_t column = 0; column < shape_.out_width(); ++column)
        for (std::int64_t c = 0; c < in_group(); ++c)
          for (std::int64_t kh = 0; kh < shape_.kernel_h; ++kh)
            for (std::int64_t kw = 0; kw < shape_.kernel_w; ++kw) {
              const std::int64_t h = row * shape_.conv.stride - shape_.conv.pad + kh;
              const std::int64_t w = column * shape_.conv.stride - shape_.conv.pad + kw;
              const bool is_inside = h >= 0 && h < shape_.height && w >= 0 && w < shape_.width;
              visit(i++, is_inside ? (h * shape_.width + w) * shape_.in_channels + c : -1);
            }
  }

  Pass pass_;
  ConvShape shape_;
  const float* inputs_[2] = {nullptr, nullptr};
  float* output_ = nullptr;
  float* patches_ = nullptr;
};

}  // namespace

bool plain_conv_multiplies_bf16() { return false; }

std::unique_ptr<Kernel> lower_plain_conv(const KernelRequest& request, const CpuOptions& /*options*/) {
  const Shape &first = request.inputs[0].shape, &out = request.outputs[0].shape;
  if (const auto* op = std::get_if<Conv2d>(&request.op))
    return std::make_unique<GemmConvKernel>(Pass::forward, shape_of(*op, first, request.inputs[1].shape));
  if (const auto* op = std::get_if<Conv2dInputGrad>(&request.op))
    return std::make_unique<GemmConvKernel>(Pass::input_grad, shape_of(op->conv, out, request.inputs[1].shape));
  if (const auto* op = std::get_if<Conv2dWeightGrad>(&request.op))
    return std::make_unique<GemmConvKernel>(Pass::weight_grad, shape_of(op->conv, first, out));
  no_kernel(request, "packed weights need a build with oneDNN");
}

std::int64_t packed_plain_conv_bytes(const PackWeights& /*pack*/, const TensorType& /*weight*/,
                                     const CpuOptions& /*options*/) {
  return 0;
}

bool packs_plain_conv_alike(const PackWeights& a, const PackWeights& b, const TensorType& /*weight*/,
                            const CpuOptions& /*options*/) {
  return a == b;
}

}  // namespace deq::cpu

namespace deq {

double convolution_unit_ms(std::span<const ConvShape> /*shapes*/, int /*repeats*/, ConvYardstick /*yardstick*/,
                           const std::function<void()>& /*before_round*/) {
  throw Error("convolution unit: this build has no oneDNN to measure");
}

}  // namespace deq
