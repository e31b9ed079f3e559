#include "core/op.h"

namespace deq {
namespace {

struct Names {
  std::string_view operator()(const Input&) const { return "input"; }
  std::string_view operator()(const Constant&) const { return "constant"; }
  std::string_view operator()(const Random&) const { return "random"; }
  std::string_view operator()(const Unary& op) const {
    switch (op.fn) {
      case UnaryFn::relu: return "relu";
      case UnaryFn::gelu: return "gelu";
      case UnaryFn::gelu_derivative: return "gelu_derivative";
      case UnaryFn::tanh: return "tanh";
      case UnaryFn::sigmoid: return "sigmoid";
      case UnaryFn::exp: return "exp";
      case UnaryFn::log: return "log";
      case UnaryFn::sqrt: return "sqrt";
      case UnaryFn::reciprocal: return "reciprocal";
      case UnaryFn::abs: return "abs";
      case UnaryFn::sign: return "sign";
      case UnaryFn::sin: return "sin";
      case UnaryFn::cos: return "cos";
    }
    return "unary";
  }
  std::string_view operator()(const Binary& op) const {
    switch (op.fn) {
      case BinaryFn::add: return "add";
      case BinaryFn::sub: return "sub";
      case BinaryFn::mul: return "mul";
      case BinaryFn::div: return "div";
      case BinaryFn::relu_grad: return "relu_grad";
    }
    return "binary";
  }
  std::string_view operator()(const Affine&) const { return "affine"; }
  std::string_view operator()(const Copy&) const { return "copy"; }
  std::string_view operator()(const Reshape&) const { return "reshape"; }
  std::string_view operator()(const Transpose&) const { return "transpose"; }
  std::string_view operator()(const Concat&) const { return "concat"; }
  std::string_view operator()(const Slice&) const { return "slice"; }
  std::string_view operator()(const Pad&) const { return "pad"; }
  std::string_view operator()(const BroadcastTo&) const { return "broadcast_to"; }
  std::string_view operator()(const Sum&) const { return "sum"; }
  std::string_view operator()(const MatMul&) const { return "matmul"; }
  std::string_view operator()(const Conv2d&) const { return "conv2d"; }
  std::string_view operator()(const Conv2dInputGrad&) const { return "conv2d_input_grad"; }
  std::string_view operator()(const Conv2dWeightGrad&) const { return "conv2d_weight_grad"; }
  std::string_view operator()(const PackWeights&) const { return "pack_weights"; }
  std::string_view operator()(const ConvBlock&) const { return "conv_block"; }
  std::string_view operator()(const GroupNorm&) const { return "group_norm"; }
  std::string_view operator()(const GroupNormPair&) const { return "group_norm_pair"; }
  std::string_view operator()(const WeightNorm&) const { return "weight_norm"; }
  std::string_view operator()(const GroupNormGrad&) const { return "group_norm_grad"; }
  std::string_view operator()(const BatchNorm&) const { return "batch_norm"; }
  std::string_view operator()(const BatchNormGrad&) const { return "batch_norm_grad"; }
  std::string_view operator()(const Resize&) const { return "resize"; }
  std::string_view operator()(const ResizeGrad&) const { return "resize_grad"; }
  std::string_view operator()(const UpsampleSum&) const { return "upsample_sum"; }
  std::string_view operator()(const AvgPool&) const { return "avg_pool"; }
  std::string_view operator()(const AvgPoolGrad&) const { return "avg_pool_grad"; }
  std::string_view operator()(const MaxPool&) const { return "max_pool"; }
  std::string_view operator()(const WinnerGather&) const { return "winner_gather"; }
  std::string_view operator()(const WinnerScatter&) const { return "winner_scatter"; }
  std::string_view operator()(const Gather&) const { return "gather"; }
  std::string_view operator()(const GatherGrad&) const { return "gather_grad"; }
  std::string_view operator()(const OneHot&) const { return "one_hot"; }
  std::string_view operator()(const SoftmaxCrossEntropy&) const { return "softmax_cross_entropy"; }
  std::string_view operator()(const SgdUpdate&) const { return "sgd_update"; }
  std::string_view operator()(const AdamUpdate&) const { return "adam_update"; }
  std::string_view operator()(const Equilibrium&) const { return "equilibrium"; }
  std::string_view operator()(const ImplicitGradient&) const { return "implicit_gradient"; }
  std::string_view operator()(const LinearSolve& op) const {
    return op.system == ImplicitSystem::adjoint ? "adjoint_solve" : "tangent_solve";
  }
  std::string_view operator()(const StandIn&) const { return "stand_in"; }
};

}  // namespace

std::string_view name_of(const Op& op) { return std::visit(Names{}, op); }

}  // namespace deq
