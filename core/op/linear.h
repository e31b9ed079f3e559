#pragma once

#include <cstdint>

#include "core/shape.h"

namespace deq {

/// [.., m,k] x [.., k,n] -> [.., m,n]; leading axes equal. A transposed operand is stored with its last two axes
/// swapped.
struct MatMul {
  bool transpose_a = false;
  bool transpose_b = false;
  bool operator==(const MatMul&) const = default;
};
/// x [B,H,W,Cin], w [Cout,Cin/groups,Kh,Kw] -> [B,H',W',Cout], H' = (H + 2 pad - Kh) / stride + 1. Cross-correlation.
struct Conv2d {
  int stride = 1;
  int pad = 0;
  int groups = 1;
  bool operator==(const Conv2d&) const = default;
};
/// Transpose of Conv2d in x: g [B,H',W',Cout], w -> [B,height,width,Cin].
struct Conv2dInputGrad {
  Conv2d conv;
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const Conv2dInputGrad&) const = default;
};
/// Transpose of Conv2d in w: x, g -> [Cout,Cin/groups,kernel_h,kernel_w].
struct Conv2dWeightGrad {
  Conv2d conv;
  std::int64_t kernel_h = 0;
  std::int64_t kernel_w = 0;
  bool operator==(const Conv2dWeightGrad&) const = default;
};
enum class ConvPass : std::uint8_t { forward, input_grad };
/// Weights in the opaque layout that the backend's convolution wants, u8[bytes]. Inserted by a backend before planning;
/// `image` is the [B,H,W,Cin] that the convolution sees. Conv2d and Conv2dInputGrad then take (x or g, packed, weight):
/// the plain weight stays as a third operand for its shape. Has no derivative: it appears after differentiation.
struct PackWeights {
  Conv2d conv;
  ConvPass pass = ConvPass::forward;
  Shape image;
  std::int64_t bytes = 0;
  bool operator==(const PackWeights&) const = default;
};
/// conv2d(relu(group_norm(conv2d(x, w1))), w2): the two convolutions of a residual block and what lies between them,
/// which never leaves the kernel. Inserted by a rewrite for backends that have it; no derivative, as PackWeights.
/// Inputs: x, packed w1, packed w2, w1, w2 [, gamma, beta], the plain weights for their shapes.
struct ConvBlock {
  Conv2d first;
  int groups = 1;  ///< of the group norm, as eps and affine
  double eps = 1e-5;
  bool affine = false;
  Conv2d second;
  bool operator==(const ConvBlock&) const = default;
};

}  // namespace deq
