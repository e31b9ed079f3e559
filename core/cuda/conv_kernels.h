#pragma once

#include "core/cpu/conv_shape.h"
#include "core/cuda/bf16.h"
#include "core/cuda/elementwise_kernels.h"

// What surrounds the vendor's convolutions: weights between [Cout,Cin/groups,Kh,Kw] and [Cout,Kh,Kw,Cin/groups],
// numbers between f32 and bf16, and convolutions of our own for shapes the vendor has no algorithm for.

namespace deq::cuda {

struct RoundToBf16 {
  const float* x;
  std::uint16_t* y;
  DEQ_HOST_DEVICE void operator()(Index i) const { y[i] = bf16_of(x[i]); }
};
struct WidenBf16 {
  const std::uint16_t* x;
  float* y;
  DEQ_HOST_DEVICE void operator()(Index i) const { y[i] = from_bf16(x[i]); }
};
/// bf16 of elements read through `walk`.
struct PackBf16 {
  const float* x;
  std::uint16_t* y;
  Strided<1> walk;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    Index at[1];
    walk.offsets(i, at);
    y[i] = bf16_of(x[at[0]]);
  }
};

/// Reads plain weights in packed order.
inline Strided<1> packed_order(const ConvShape& shape) {
  const std::int64_t taps = shape.kernel_h * shape.kernel_w, inputs = shape.in_channels / shape.conv.groups;
  Strided<1> walk;
  walk.add(shape.out_channels, {inputs * taps});
  walk.add(taps, {1});
  walk.add(inputs, {taps});
  return walk;
}
/// Reads packed weights in plain order.
inline Strided<1> plain_order(const ConvShape& shape) {
  const std::int64_t taps = shape.kernel_h * shape.kernel_w, inputs = shape.in_channels / shape.conv.groups;
  Strided<1> walk;
  walk.add(shape.out_channels, {inputs * taps});
  walk.add(inputs, {1});
  walk.add(taps, {inputs});
  return walk;
}

/// PackWeights, to f32 or bf16.
template <class Launcher>
std::unique_ptr<Kernel> lower_pack(const KernelRequest& request, const Launcher& launcher, bool is_bf16) {
  if (is_idle(request)) return make_idle_kernel();
  const auto& op = std::get<PackWeights>(request.op);
  const ConvShape shape = shape_of(op.conv, op.image, request.inputs[0].shape);
  return make_kernel([=, n = shape.weight().elements(), walk = packed_order(shape)](const Operands& bound) {
    if (is_bf16)
      launcher.for_each(n, PackBf16{bound.in(0), bound.out<std::uint16_t>(0), walk});
    else
      launcher.for_each(n, ReadStrided<float>{bound.in(0), bound.out(0), walk, 0});
  });
}

/// The convolution op of `request` with all its extents. Weights come as operand 1, or packed there and plain as
/// operand 2.
inline ConvShape conv_shape_of(const KernelRequest& request) {
  const Shape& weight = request.inputs[request.inputs.size() > 2 ? 2 : 1].shape;
  if (const auto* op = std::get_if<Conv2d>(&request.op)) return shape_of(*op, request.inputs[0].shape, weight);
  if (const auto* op = std::get_if<Conv2dInputGrad>(&request.op))
    return shape_of(op->conv, request.outputs[0].shape, weight);
  if (const auto* op = std::get_if<Conv2dWeightGrad>(&request.op))
    return shape_of(op->conv, request.inputs[0].shape, request.outputs[0].shape);
  no_kernel(request, "not a convolution");
}

}  // namespace deq::cuda
