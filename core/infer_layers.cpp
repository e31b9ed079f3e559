#include "core/infer.h"

namespace deq {

using Types = InferRules::Types;

void InferRules::expect_image(std::size_t input) const {
  expect_float(input);
  expect(in_[input].shape.rank() == 4, "operand ", input, " must be an image batch [B,H,W,C]");
}

void InferRules::expect_channel_vector(std::size_t input, std::int64_t channels) const {
  expect(in_[input].shape == Shape{channels}, "operand ", input, " must be a vector of ", channels, " channels");
}

// Linear algebra

Types InferRules::operator()(const MatMul& op) const {
  expect_count(2, 2);
  expect_float(0);
  expect(in_[0].dtype == in_[1].dtype, "element types differ");
  const Shape &a = in_[0].shape, &b = in_[1].shape;
  expect(a.rank() >= 2 && a.rank() == b.rank(), "operands must have equal rank of at least 2");
  for (int i = 0; i < a.rank() - 2; ++i) expect(a[i] == b[i], "leading axes differ");
  const std::int64_t m = op.transpose_a ? a[-1] : a[-2], ka = op.transpose_a ? a[-2] : a[-1];
  const std::int64_t kb = op.transpose_b ? b[-1] : b[-2], n = op.transpose_b ? b[-2] : b[-1];
  expect(ka == kb, "inner extents differ: ", ka, " against ", kb);
  return {TensorType{in_[0].dtype, a.with(-2, m).with(-1, n)}};
}

std::int64_t InferRules::conv_extent(const char* axis, std::int64_t in, std::int64_t kernel, int stride,
                                     int pad) const {
  expect(stride >= 1 && pad >= 0, "stride must be at least 1 and padding not negative");
  expect(in + 2 * pad >= kernel, "kernel of ", kernel, " does not fit ", axis, " ", in, " padded by ", pad);
  return (in + 2 * pad - kernel) / stride + 1;
}

void InferRules::expect_conv(const Conv2d& op, const Shape& image, const Shape& weight) const {
  expect(weight.rank() == 4, "weight must be [Cout,Cin/groups,Kh,Kw]");
  expect(op.groups >= 1 && image[3] % op.groups == 0 && weight[0] % op.groups == 0, "channels are not divisible by ",
         op.groups, " groups");
  expect(image[3] == weight[1] * op.groups, "input has ", image[3], " channels but weight expects ",
         weight[1] * op.groups);
}

Shape InferRules::conv_output(const Conv2d& op, const Shape& image, const Shape& weight) const {
  return {image[0], conv_extent("height", image[1], weight[2], op.stride, op.pad),
          conv_extent("width", image[2], weight[3], op.stride, op.pad), weight[0]};
}

Types InferRules::operator()(const Conv2d& op) const {
  expect_count(2, 3);
  expect_image(0);
  if (in_[1].dtype == DType::u8) {  // packed weights: the shape travels as a third operand
    expect_count(3, 3);
    expect_conv(op, in_[0].shape, in_[2].shape);
    return {TensorType{in_[0].dtype, conv_output(op, in_[0].shape, in_[2].shape)}};
  }
  expect_count(2, 2);
  expect(in_[0].dtype == in_[1].dtype, "element types differ");
  expect_conv(op, in_[0].shape, in_[1].shape);
  return {TensorType{in_[0].dtype, conv_output(op, in_[0].shape, in_[1].shape)}};
}

Types InferRules::operator()(const Conv2dInputGrad& op) const {
  expect_count(2, 3);
  expect_image(0);
  const Shape& weight = in_[in_.size() == 3 ? 2 : 1].shape;
  expect(weight.rank() == 4, "weight must be [Cout,Cin/groups,Kh,Kw]");
  const Shape image{in_[0].shape[0], op.height, op.width, weight[1] * op.conv.groups};
  expect_conv(op.conv, image, weight);
  expect(conv_output(op.conv, image, weight) == in_[0].shape, "an image of ", image, " gives another output shape");
  return {TensorType{in_[0].dtype, image}};
}

Types InferRules::operator()(const Conv2dWeightGrad& op) const {
  expect_count(2, 2);
  expect_image(0);
  expect_image(1);
  const Shape &image = in_[0].shape, &g = in_[1].shape;
  expect(op.conv.groups >= 1 && image[3] % op.conv.groups == 0, "channels are not divisible by ", op.conv.groups,
         " groups");
  const Shape weight{g[3], image[3] / op.conv.groups, op.kernel_h, op.kernel_w};
  expect_conv(op.conv, image, weight);
  expect(conv_output(op.conv, image, weight) == g, "weights of ", weight, " give another output shape");
  return {TensorType{in_[0].dtype, weight}};
}

Types InferRules::operator()(const PackWeights& op) const {
  expect_count(1, 1);
  expect(op.bytes > 0, "packed size must be positive");
  return {TensorType{DType::u8, {op.bytes}}};
}

Types InferRules::operator()(const ConvBlock& op) const {
  const std::size_t count = op.affine ? 7 : 5;
  expect_count(count, count);
  expect_image(0);
  expect(in_[1].dtype == DType::u8 && in_[2].dtype == DType::u8, "weights must be packed");
  const Shape &image = in_[0].shape, &first = in_[3].shape, &second = in_[4].shape;
  expect_conv(op.first, image, first);
  const Shape middle = conv_output(op.first, image, first);
  expect(op.groups >= 1 && middle[3] % op.groups == 0, middle[3], " channels are not divisible by ", op.groups,
         " groups");
  for (std::size_t i = 5; i < count; ++i) expect_channel_vector(i, middle[3]);
  expect_conv(op.second, middle, second);
  return {TensorType{in_[0].dtype, conv_output(op.second, middle, second)}};
}

// Normalisation

Types InferRules::operator()(const GroupNorm& op) const {
  expect(!in_.empty(), "needs an operand");
  const Shape& x = in_[0].shape;
  const std::size_t count = op.inputs();
  expect_count(count, count);
  expect_float(0);
  expect(x.rank() >= 2, "operand must be [B,..,C]");
  expect(op.groups >= 1 && x[-1] % op.groups == 0, x[-1], " channels are not divisible by ", op.groups, " groups");
  Shape scale = x;
  for (int axis = 1; axis + 1 < x.rank(); ++axis) scale = scale.with(axis, 1);
  for (std::size_t i = 1; i < count; ++i) {
    if (op.affine && i <= 2)
      expect_channel_vector(i, x[-1]);
    else if (op.has_scale && i == op.scale_input())
      expect(in_[i].dtype == in_[0].dtype && in_[i].shape == scale, "the scale must be ", scale);
    else
      expect(in_[i] == in_[0], "operand ", i, " must be like the first");
  }
  return {in_[0], TensorType{in_[0].dtype, {x[0], op.groups, 2}}};
}

Types InferRules::operator()(const GroupNormPair& op) const {
  const GroupNorm& second = op.second;
  expect(!second.has_scale && !second.has_addend && !second.pre_relu && !second.has_residual,
         "the second norm takes nothing but the first one's result");
  const std::size_t affine = second.affine ? 2 : 0;
  expect(in_.size() > affine, "needs an operand");
  const auto types = InferRules(op_, in_.first(in_.size() - affine), label_)(op.first);
  const std::int64_t channels = in_[0].shape[-1];
  expect(second.groups >= 1 && channels % second.groups == 0, channels, " channels are not divisible by ",
         second.groups, " groups");
  for (std::size_t i = in_.size() - affine; i < in_.size(); ++i) expect_channel_vector(i, channels);
  return {types[0]};
}

Types InferRules::operator()(const WeightNorm&) const {
  expect_count(2, 2);
  expect_float(0);
  const Shape& v = in_[0].shape;
  expect(v.rank() >= 2, "the weight needs an axis besides the outputs");
  Shape scale = v;
  for (int axis = 1; axis < v.rank(); ++axis) scale = scale.with(axis, 1);
  expect(in_[1].dtype == in_[0].dtype && in_[1].shape == scale, "the length must be ", scale);
  return {in_[0], in_[1], in_[1]};
}

Types InferRules::operator()(const GroupNormGrad& op) const {
  expect_count(op.affine ? 4 : 3, op.affine ? 4 : 3);
  const Shape& x = in_[0].shape;
  expect(x.rank() >= 2, "operand must be [B,..,C]");
  expect(in_[1].shape == Shape({x[0], op.groups, 2}), "statistics must be [B,groups,2]");
  expect(in_[2] == in_[0], "the cotangent must be like x");
  if (!op.affine) return {in_[0]};
  expect_channel_vector(3, x[-1]);
  return {in_[0], in_[3], in_[3]};
}

Types InferRules::operator()(const BatchNorm& op) const {
  expect_count(op.affine ? 3 : 1, op.affine ? 3 : 1);
  expect_float(0);
  const Shape& x = in_[0].shape;
  expect(x.rank() >= 2, "operand must be [B,..,C]");
  for (std::size_t i = 1; i < in_.size(); ++i) expect_channel_vector(i, x[-1]);
  const TensorType channels{in_[0].dtype, {x[-1]}};
  return {in_[0], channels, channels};
}

Types InferRules::operator()(const BatchNormGrad& op) const {
  expect_count(op.affine ? 5 : 4, op.affine ? 5 : 4);
  const std::int64_t channels = in_[0].shape[-1];
  expect_channel_vector(1, channels);
  expect_channel_vector(2, channels);
  expect(in_[3] == in_[0], "the cotangent must be like x");
  if (!op.affine) return {in_[0]};
  expect_channel_vector(4, channels);
  return {in_[0], in_[4], in_[4]};
}

// Resampling

Types InferRules::operator()(const Resize& op) const {
  expect_count(1, 1);
  expect_image(0);
  expect(op.height >= 1 && op.width >= 1, "cannot resize to ", op.height, " x ", op.width);
  return {TensorType{in_[0].dtype, in_[0].shape.with(1, op.height).with(2, op.width)}};
}

Types InferRules::operator()(const ResizeGrad& op) const {
  expect_count(1, 1);
  expect_image(0);
  expect(op.height >= 1 && op.width >= 1, "cannot come from ", op.height, " x ", op.width);
  return {TensorType{in_[0].dtype, in_[0].shape.with(1, op.height).with(2, op.width)}};
}

Types InferRules::operator()(const UpsampleSum& op) const {
  expect_count(1, UpsampleSum::kMostInputs);
  expect_image(0);
  const Shape result = in_[0].shape.with(1, op.height).with(2, op.width);
  for (std::size_t i = 0; i < in_.size(); ++i) {
    expect_image(i);
    const Shape& x = in_[i].shape;
    expect(in_[i].dtype == in_[0].dtype && x.with(1, op.height).with(2, op.width) == result, "operand ", i,
           " must be like the first but for its size");
    expect(x[1] >= 1 && x[2] >= 1 && op.height % x[1] == 0 && op.width % x[2] == 0, "operand ", i,
           " does not go a whole number of times into ", op.height, " x ", op.width);
  }
  return {TensorType{in_[0].dtype, result}};
}

Shape InferRules::pool_output(int kernel, int stride, int pad) const {
  expect(kernel >= 1 && 2 * pad <= kernel, "kernel must be at least 1 and padding at most half of it");
  const Shape& x = in_[0].shape;
  return x.with(1, conv_extent("height", x[1], kernel, stride, pad))
      .with(2, conv_extent("width", x[2], kernel, stride, pad));
}

Types InferRules::operator()(const AvgPool& op) const {
  expect_count(1, 1);
  expect_image(0);
  return {TensorType{in_[0].dtype, pool_output(op.kernel, op.stride, op.pad)}};
}

Types InferRules::operator()(const AvgPoolGrad& op) const {
  expect_count(1, 1);
  expect_image(0);
  return {TensorType{in_[0].dtype, in_[0].shape.with(1, op.height).with(2, op.width)}};
}

Types InferRules::operator()(const MaxPool& op) const {
  expect_count(1, 1);
  expect_image(0);
  const Shape out = pool_output(op.kernel, op.stride, op.pad);
  return {TensorType{in_[0].dtype, out}, TensorType{DType::i32, out}};
}

Types InferRules::operator()(const WinnerGather&) const {
  expect_count(2, 2);
  expect_image(0);
  expect(in_[1].dtype == DType::i32 && in_[1].shape.rank() == 4, "winners must be i32[B,H,W,C]");
  expect(in_[1].shape[0] == in_[0].shape[0] && in_[1].shape[3] == in_[0].shape[3],
         "winners have another batch or channels");
  return {TensorType{in_[0].dtype, in_[1].shape}};
}

Types InferRules::operator()(const WinnerScatter& op) const {
  expect_count(2, 2);
  expect_image(0);
  expect(in_[1].dtype == DType::i32 && in_[1].shape == in_[0].shape, "winners must be i32 like the cotangent");
  return {TensorType{in_[0].dtype, in_[0].shape.with(1, op.height).with(2, op.width)}};
}

}  // namespace deq
