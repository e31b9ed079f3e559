#include <cmath>
#include <numbers>

#include "autodiff/rules/rule.h"
#include "core/builder.h"

namespace deq {
namespace {

/// gelu'' = phi(x) (2 - x^2), with phi the standard normal density: gelu' = Phi + x phi and phi' = -x phi.
Value gelu_second_derivative(Value x) {
  const Value x2 = square(x);
  const double peak = 1 / std::sqrt(2 * std::numbers::pi);
  return exp(affine(x2, -0.5, 0)) * affine(x2, -peak, 2 * peak);
}

/// Cotangent of x for y = fn(x). Written in y where possible, so that x need not be kept.
Value unary_cotangent(UnaryFn fn, Value x, Value y, Value g) {
  switch (fn) {
    case UnaryFn::relu: return relu_grad(y, g);  // y > 0 exactly where x > 0
    case UnaryFn::gelu: return g * unary(UnaryFn::gelu_derivative, x);
    case UnaryFn::gelu_derivative: return g * gelu_second_derivative(x);
    case UnaryFn::tanh: return g * affine(square(y), -1, 1);
    case UnaryFn::sigmoid: return g * (y * affine(y, -1, 1));
    case UnaryFn::exp: return g * y;
    case UnaryFn::log: return g / x;
    case UnaryFn::sqrt: return g * affine(reciprocal(y), 0.5, 0);
    case UnaryFn::reciprocal: return g * affine(square(y), -1, 0);
    case UnaryFn::abs: return g * unary(UnaryFn::sign, x);
    case UnaryFn::sign: return {};
    case UnaryFn::sin: return g * cos(x);
    case UnaryFn::cos: return -(g * sin(x));
  }
  return {};
}

}  // namespace

InputCotangents vjp_rule(const Unary& op, const RuleContext& context) {
  return {unary_cotangent(op.fn, context.inputs[0], context.outputs[0], context.cotangents[0])};
}

InputCotangents vjp_rule(const Binary& op, const RuleContext& context) {
  const Value a = context.inputs[0], b = context.inputs[1], g = context.cotangents[0];
  const bool needs_a = context.needs[0], needs_b = context.needs[1];
  const auto to_a = [&](Value cotangent) { return sum_to(cotangent, a.shape()); };
  const auto to_b = [&](Value cotangent) { return sum_to(cotangent, b.shape()); };
  InputCotangents out(2);
  switch (op.fn) {
    case BinaryFn::add:
      if (needs_a) out[0] = to_a(g);
      if (needs_b) out[1] = to_b(g);
      break;
    case BinaryFn::sub:
      if (needs_a) out[0] = to_a(g);
      if (needs_b) out[1] = -to_b(g);
      break;
    case BinaryFn::mul:
      if (a == b) {
        out[0] = affine(g * a, 2, 0);
        break;
      }
      if (needs_a) out[0] = to_a(g * b);
      if (needs_b) out[1] = to_b(g * a);
      break;
    case BinaryFn::div:
      if (needs_a) out[0] = to_a(g / b);
      if (needs_b) out[1] = -to_b(g * context.outputs[0] / b);
      break;
    case BinaryFn::relu_grad:
      // Piecewise constant in its first operand, linear in its second.
      if (needs_b) out[1] = to_b(relu_grad(a, g));
      break;
  }
  return out;
}

InputCotangents vjp_rule(const Affine& op, const RuleContext& context) {
  return {affine(context.cotangents[0], op.scale, 0)};
}

InputCotangents vjp_rule(const Copy&, const RuleContext& context) { return {context.cotangents[0]}; }

}  // namespace deq
