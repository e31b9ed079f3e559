#include "core/cuda/conv_kernels.h"
#include "core/cuda/conv_tiles.h"
#include "core/cuda/kernels.h"
#include "core/cuda/launcher.h"
#include "core/cuda/vendor_kernels.h"

namespace deq::cuda {

namespace {

/// Workspaces of the libraries begin at multiples of this.
constexpr std::size_t kAlignment = 256;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Hands out parts of a workspace one after the other. The plan counts the same parts before there is memory.
class Parts {
 public:
  explicit Parts(void* memory) : next_(aligned(reinterpret_cast<std::size_t>(memory))) {}
  void* take(std::size_t bytes) {
    const std::size_t part = next_;
    next_ += aligned(bytes);
    return reinterpret_cast<void*>(part);
  }

 private:
  std::size_t next_;
};

ConvDirection direction_of(const Op& op) {
  if (std::holds_alternative<Conv2d>(op)) return ConvDirection::forward;
  return std::holds_alternative<Conv2dInputGrad>(op) ? ConvDirection::input_grad : ConvDirection::weight_grad;
}

/// One convolution with what has to happen before and after it.
class ConvKernel final : public Kernel {
 public:
  ConvKernel(const Vendor& vendor, ConvDirection direction, const ConvShape& shape, bool is_packed)
      : launcher_(vendor.stream),
        direction_(direction),
        is_bf16_(vendor.options.precision == CudaPrecision::bf16 && direction_ != ConvDirection::weight_grad),
        is_packed_(is_packed),
        shape_(shape),
        conv_(vendor.cudnn, direction_, shape, options_of(vendor)) {}

  [[nodiscard]] bool is_supported() const { return conv_.is_supported(); }

  [[nodiscard]] std::size_t workspace_bytes() const override {
    std::size_t bytes = kAlignment + aligned(conv_.workspace_bytes());
    if (!is_packed_) bytes += aligned(elements(shape_.weight()) * word());
    if (is_bf16_) bytes += aligned(elements(shape_.image()) * word()) + aligned(elements(shape_.result()) * word());
    return bytes;
  }

  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    auto* first = const_cast<void*>(inputs[0]);
    auto* second = const_cast<void*>(inputs[1]);
    switch (direction_) {
      case ConvDirection::forward: x_ = first, w_ = second, y_ = outputs[0]; break;
      case ConvDirection::input_grad: y_ = first, w_ = second, x_ = outputs[0]; break;
      case ConvDirection::weight_grad: x_ = first, y_ = second, w_ = outputs[0]; break;
    }
    Parts parts(workspace);
    scratch_ = parts.take(conv_.workspace_bytes());
    packed_ = is_packed_ ? w_ : parts.take(elements(shape_.weight()) * word());
    x_used_ = is_bf16_ ? parts.take(elements(shape_.image()) * word()) : x_;
    y_used_ = is_bf16_ ? parts.take(elements(shape_.result()) * word()) : y_;
  }

  void run() override {
    if (!is_packed_ && direction_ != ConvDirection::weight_grad) pack();
    if (is_bf16_) round_operand();
    conv_.run(x_used_, packed_, y_used_, scratch_);
    if (is_bf16_) widen_result();
    if (direction_ == ConvDirection::weight_grad) {
      launcher_.for_each(
          shape_.weight().elements(),
          ReadStrided<float>{static_cast<const float*>(packed_), static_cast<float*>(w_), plain_order(shape_), 0});
    }
  }

 private:
  static std::size_t elements(const Shape& shape) { return static_cast<std::size_t>(shape.elements()); }
  [[nodiscard]] std::size_t word() const { return is_bf16_ ? 2 : 4; }
  [[nodiscard]] CudaOptions options_of(const Vendor& vendor) const {
    CudaOptions options = vendor.options;
    if (options.precision == CudaPrecision::bf16 && !is_bf16_) options.precision = CudaPrecision::tf32;
    return options;
  }

  void pack() const {
    const std::int64_t n = shape_.weight().elements();
    const auto* plain = static_cast<const float*>(w_);
    if (is_bf16_)
      launcher_.for_each(n, PackBf16{plain, static_cast<std::uint16_t*>(packed_), packed_order(shape_)});
    else
      launcher_.for_each(n, ReadStrided<float>{plain, static_cast<float*>(packed_), packed_order(shape_), 0});
  }
  void round_operand() const {
    const bool is_forward = direction_ == ConvDirection::forward;
    launcher_.for_each(is_forward ? shape_.image().elements() : shape_.result().elements(),
                       RoundToBf16{static_cast<const float*>(is_forward ? x_ : y_),
                                   static_cast<std::uint16_t*>(is_forward ? x_used_ : y_used_)});
  }
  void widen_result() const {
    const bool is_forward = direction_ == ConvDirection::forward;
    launcher_.for_each(is_forward ? shape_.result().elements() : shape_.image().elements(),
                       WidenBf16{static_cast<const std::uint16_t*>(is_forward ? y_used_ : x_used_),
                                 static_cast<float*>(is_forward ? y_ : x_)});
  }

  Launcher launcher_;
  ConvDirection direction_;
  bool is_bf16_, is_packed_;
  ConvShape shape_;
  CudnnConv conv_;
  void *x_ = nullptr, *w_ = nullptr, *y_ = nullptr;  ///< operands as the node has them
  void *x_used_ = nullptr, *packed_ = nullptr, *y_used_ = nullptr, *scratch_ = nullptr;
};

/// One product with its workspace where the library wants it.
class ProductKernel final : public Kernel {
 public:
  ProductKernel(const Vendor& vendor, const ProductShape& shape)
      : product_(vendor.cublas, vendor.stream, shape, vendor.options) {}

  [[nodiscard]] bool is_supported() const { return product_.is_supported(); }
  [[nodiscard]] std::size_t workspace_bytes() const override {
    return product_.workspace_bytes() == 0 ? 0 : kAlignment + product_.workspace_bytes();
  }
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    a_ = static_cast<const float*>(inputs[0]);
    b_ = static_cast<const float*>(inputs[1]);
    y_ = static_cast<float*>(outputs[0]);
    scratch_ = workspace == nullptr ? nullptr : Parts(workspace).take(0);
  }
  void run() override { product_.run(a_, b_, y_, scratch_); }

 private:
  CublasProduct product_;
  const float *a_ = nullptr, *b_ = nullptr;
  float* y_ = nullptr;
  void* scratch_ = nullptr;
};

std::optional<ConvTiles> tiles_of(const Vendor& vendor, const PackWeights& pack, const Shape& weight) {
  return vendor.choices.tiles_of(vendor, shape_of(pack.conv, pack.image, weight), pack.pass);
}

}  // namespace

std::unique_ptr<Kernel> conv_on(const Vendor& vendor, const KernelRequest& request) {
  if (is_idle(request)) return make_idle_kernel();
  if (request.inputs[0].dtype != DType::f32) no_kernel(request, "convolutions take f32 images");
  if (request.inputs[1].dtype == DType::u8 && request.inputs.size() < 3)
    no_kernel(request, "packed weights come without their shape");
  const ConvShape shape = conv_shape_of(request);
  const ConvDirection direction = direction_of(request.op);
  const bool is_packed = request.inputs[1].dtype == DType::u8;
  if (direction != ConvDirection::weight_grad) {
    const ConvPass pass = direction == ConvDirection::forward ? ConvPass::forward : ConvPass::input_grad;
    if (const std::optional<ConvTiles> cut = vendor.choices.tiles_of(vendor, shape, pass))
      return tile_conv_on(vendor.stream, *cut, is_packed);
  }
  if (auto kernel = library_conv_on(vendor, direction, shape, is_packed)) return kernel;
  return direct_conv_on(vendor.stream, request);
}

std::unique_ptr<Kernel> library_conv_on(const Vendor& vendor, ConvDirection direction, const ConvShape& shape,
                                        bool is_packed) {
  auto kernel = std::make_unique<ConvKernel>(vendor, direction, shape, is_packed);
  return kernel->is_supported() ? std::move(kernel) : nullptr;
}

std::int64_t packed_bytes(const Vendor& vendor, const PackWeights& pack, const TensorType& weight) {
  if (const auto cut = tiles_of(vendor, pack, weight.shape)) return cut->packed_words() * 4;
  return weight.shape.elements() * (vendor.options.precision == CudaPrecision::bf16 ? 2 : 4);
}

bool packed_alike(const Vendor& vendor, const PackWeights& a, const PackWeights& b, const TensorType& weight) {
  const auto first = tiles_of(vendor, a, weight.shape), second = tiles_of(vendor, b, weight.shape);
  if (first.has_value() != second.has_value() || a.conv.groups != b.conv.groups) return false;
  return !first || first->packs_like(*second);
}

std::unique_ptr<Kernel> pack_on(const Vendor& vendor, const KernelRequest& request) {
  if (const auto cut = tiles_of(vendor, std::get<PackWeights>(request.op), request.inputs[0].shape))
    return pack_tiles_on(vendor.stream, *cut);
  return lower_pack(request, Launcher(vendor.stream), vendor.options.precision == CudaPrecision::bf16);
}

std::unique_ptr<Kernel> matmul_on(const Vendor& vendor, const KernelRequest& request) {
  if (is_idle(request)) return make_idle_kernel();
  require_f32(request);
  const auto& op = std::get<MatMul>(request.op);
  const Shape &a = request.inputs[0].shape, &y = request.outputs[0].shape;
  const std::int64_t m = y[-2], n = y[-1], k = op.transpose_a ? a[-2] : a[-1];
  if (k > 0) {
    auto kernel = std::make_unique<ProductKernel>(
        vendor, ProductShape{static_cast<int>(y.elements() / (m * n)), m, n, k, op.transpose_a, op.transpose_b});
    if (kernel->is_supported()) return kernel;
  }
  return direct_product_on(vendor.stream, request);
}

}  // namespace deq::cuda
