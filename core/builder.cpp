#include "core/builder.h"

#include <algorithm>
#include <numeric>

namespace deq {
namespace {

/// One more node in the graph of its first operand.
std::vector<Value> add(const Op& op, std::span<const Value> operands) {
  return operands.front().owner(name_of(op)).add(op, operands);
}

Value add_one(const Op& op, std::initializer_list<Value> operands) {
  return add(op, std::span(operands.begin(), operands.size())).front();
}

/// `axis` from the front. One that the shape does not have comes back as it was given, for the shape rule to report.
int from_front(const Shape& shape, int axis) { return axis < 0 && axis >= -shape.rank() ? axis + shape.rank() : axis; }

/// Sorted, non-negative axes; all of them when none are given.
std::vector<int> normalised_axes(const Shape& shape, std::vector<int> axes) {
  if (axes.empty()) {
    axes.resize(static_cast<std::size_t>(shape.rank()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  for (int& axis : axes) axis = from_front(shape, axis);
  std::sort(axes.begin(), axes.end());
  return axes;
}

/// x, with gamma and beta unless both are empty.
std::vector<Value> norm_operands(const Op& op, Value x, Value gamma, Value beta) {
  check(gamma.is_empty() == beta.is_empty(), name_of(op), "gamma and beta are both given or both empty");
  return gamma.is_empty() ? std::vector<Value>{x} : std::vector<Value>{x, gamma, beta};
}

/// Errors: x is no batch of images.
const Shape& image_shape(std::string_view where, Value x) {
  const Shape& shape = x.shape(where);
  check(shape.rank() == 4, where, "needs images [B,H,W,C], got ", x.type());
  return shape;
}

Value binary(BinaryFn fn, Value a, Value b) { return add_one(Binary{fn}, {a, b}); }

}  // namespace

Value constant(Graph& graph, double value, Shape shape, DType dtype) {
  return graph.add_one(Constant{TensorType{dtype, shape}, value}, {});
}

Value constant(Graph& graph, const Tensor& values) { return graph.array(values); }

Value unary(UnaryFn fn, Value x) { return add_one(Unary{fn}, {x}); }
Value relu(Value x) { return unary(UnaryFn::relu, x); }
Value gelu(Value x) { return unary(UnaryFn::gelu, x); }
Value tanh(Value x) { return unary(UnaryFn::tanh, x); }
Value sigmoid(Value x) { return unary(UnaryFn::sigmoid, x); }
Value exp(Value x) { return unary(UnaryFn::exp, x); }
Value log(Value x) { return unary(UnaryFn::log, x); }
Value sqrt(Value x) { return unary(UnaryFn::sqrt, x); }
Value reciprocal(Value x) { return unary(UnaryFn::reciprocal, x); }
Value abs(Value x) { return unary(UnaryFn::abs, x); }
Value sin(Value x) { return unary(UnaryFn::sin, x); }
Value cos(Value x) { return unary(UnaryFn::cos, x); }
Value square(Value x) { return x * x; }

Value operator+(Value a, Value b) { return binary(BinaryFn::add, a, b); }
Value operator-(Value a, Value b) { return binary(BinaryFn::sub, a, b); }
Value operator*(Value a, Value b) { return binary(BinaryFn::mul, a, b); }
Value operator/(Value a, Value b) { return binary(BinaryFn::div, a, b); }
Value operator+(Value x, double offset) { return affine(x, 1, offset); }
Value operator-(Value x, double offset) { return affine(x, 1, -offset); }
Value operator*(Value x, double scale) { return affine(x, scale, 0); }
Value operator+(double offset, Value x) { return affine(x, 1, offset); }
Value operator-(double minuend, Value x) { return affine(x, -1, minuend); }
Value operator*(double scale, Value x) { return affine(x, scale, 0); }
Value operator/(Value x, double divisor) { return affine(x, 1.0 / divisor, 0); }
Value operator/(double dividend, Value x) { return affine(reciprocal(x), dividend, 0); }
Value operator-(Value x) { return affine(x, -1, 0); }
Value relu_grad(Value x, Value g) { return binary(BinaryFn::relu_grad, x, g); }
Value affine(Value x, double scale, double offset) {
  if (scale == 1 && offset == 0 && !x.is_empty()) return x;
  return add_one(Affine{scale, offset}, {x});
}
Value copy(Value x) { return add_one(Copy{}, {x}); }

Value reshape(Value x, Shape shape) {
  if (x.shape("reshape") == shape) return x;
  return add_one(Reshape{shape}, {x});
}

Value reshape(Value x, std::initializer_list<std::int64_t> extents) {
  std::vector<std::int64_t> chosen(extents);
  const auto open = std::ranges::find(chosen, -1);
  if (open == chosen.end()) return reshape(x, Shape(chosen));
  *open = 1;
  const std::int64_t elements = x.shape("reshape").elements(), rest = Shape(chosen).elements();
  check(rest > 0 && elements % rest == 0, "reshape", x.type(), " leaves no extent for the -1 beside ", Shape(chosen));
  *open = elements / rest;
  return reshape(x, Shape(chosen));
}

Value flatten(Value x) {
  const Shape& shape = x.shape("flatten");
  check(shape.rank() >= 1, "flatten", "needs a batch axis, got ", x.type());
  std::int64_t inner = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) inner *= shape[axis];
  return reshape(x, {shape[0], inner});
}

Value transpose(Value x, std::vector<int> permutation) { return add_one(Transpose{std::move(permutation)}, {x}); }

Value concat(const std::vector<Value>& parts, int axis) {
  check(!parts.empty(), "concat", "needs at least one part");
  const Shape& shape = parts.front().shape("concat");
  axis = from_front(shape, axis);
  if (parts.size() == 1) {
    check(axis >= 0 && axis < shape.rank(), "concat", "axis ", axis, " is out of range (operands ",
          parts.front().type(), ")");
    return parts.front();
  }
  return add(Concat{axis}, parts).front();
}

Value slice(Value x, int axis, std::int64_t begin, std::int64_t end) {
  return add_one(Slice{from_front(x.shape("slice"), axis), begin, end}, {x});
}

Value pad(Value x, int axis, std::int64_t before, std::int64_t after) {
  return add_one(Pad{from_front(x.shape("pad"), axis), before, after}, {x});
}

Value broadcast_to(Value x, Shape shape) {
  if (x.shape("broadcast_to") == shape) return x;
  return add_one(BroadcastTo{shape}, {x});
}

Value sum(Value x, std::vector<int> axes, bool keep_dims) {
  axes = normalised_axes(x.shape("sum"), std::move(axes));
  if (axes.empty()) return x;
  return add_one(Sum{std::move(axes), keep_dims}, {x});
}

Value mean(Value x, std::vector<int> axes, bool keep_dims) {
  const double elements = static_cast<double>(x.shape("mean").elements());
  const Value total = sum(x, std::move(axes), keep_dims);
  const double count = elements / static_cast<double>(total.shape().elements());
  return total * (1.0 / count);
}

Value sum_to(Value x, Shape shape) {
  const Shape& from = x.shape("sum_to");
  if (from == shape) return x;
  std::vector<int> axes;
  const int lead = from.rank() - shape.rank();
  for (int axis = 0; axis < from.rank(); ++axis)
    if (axis < lead || (shape[axis - lead] == 1 && from[axis] != 1)) axes.push_back(axis);
  return reshape(axes.empty() ? x : sum(x, axes, true), shape);
}

Value matmul(Value a, Value b, bool transpose_a, bool transpose_b) {
  const Shape shape = a.shape("matmul");
  const bool is_shared = b.shape("matmul").rank() == 2 && shape.rank() > 2;
  if (!is_shared) return add_one(MatMul{transpose_a, transpose_b}, {a, b});
  if (transpose_a) {
    std::vector<int> swapped(static_cast<std::size_t>(shape.rank()));
    std::iota(swapped.begin(), swapped.end(), 0);
    std::swap(swapped.back(), swapped[swapped.size() - 2]);
    return matmul(transpose(a, std::move(swapped)), b, false, transpose_b);
  }
  // The rows of all matrices at once, so that b is read once.
  const Value rows = matmul(reshape(a, Shape{shape.with(-1, 1).elements(), shape[-1]}), b, false, transpose_b);
  return reshape(rows, shape.with(-1, rows.shape()[1]));
}

Value conv2d(Value x, Value weight, Conv2d options) { return add_one(options, {x, weight}); }

Value conv2d_input_grad(Value g, Value weight, Conv2d options, std::int64_t height, std::int64_t width) {
  return add_one(Conv2dInputGrad{options, height, width}, {g, weight});
}

Value conv2d_weight_grad(Value x, Value g, Conv2d options, std::int64_t kernel_h, std::int64_t kernel_w) {
  return add_one(Conv2dWeightGrad{options, kernel_h, kernel_w}, {x, g});
}

GroupNormValues group_norm(Value x, int groups, double eps, Value gamma, Value beta) {
  const GroupNorm op{.groups = groups, .eps = eps, .affine = !gamma.is_empty()};
  const std::vector<Value> out = add(op, norm_operands(op, x, gamma, beta));
  return {out[0], out[1]};
}

BatchNormValues batch_norm(Value x, double eps, Value gamma, Value beta) {
  const BatchNorm op{.eps = eps, .affine = !gamma.is_empty()};
  const std::vector<Value> out = add(op, norm_operands(op, x, gamma, beta));
  return {out[0], out[1], out[2]};
}

Value resize(Value x, Resize options) { return add_one(options, {x}); }

Value upsample_nearest(Value x, int factor) {
  const Shape& shape = image_shape("upsample_nearest", x);
  return resize(x, {.mode = ResizeMode::nearest, .height = shape[1] * factor, .width = shape[2] * factor});
}

Value avg_pool(Value x, AvgPool options) { return add_one(options, {x}); }
Value max_pool(Value x, MaxPool options) { return add_one(options, {x}); }
Value global_avg_pool(Value x) {
  (void)image_shape("global_avg_pool", x);
  return mean(x, {1, 2});
}

Value gather(Value table, Value index) { return add_one(Gather{}, {table, index}); }
Value scatter_add(Value messages, Value index, std::int64_t rows) {
  return add_one(GatherGrad{rows}, {messages, index});
}
Value one_hot(Value index, std::int64_t classes) { return add_one(OneHot{classes}, {index}); }

CrossEntropyValues softmax_cross_entropy(Value logits, Value labels) {
  const Shape shape = logits.shape("softmax_cross_entropy"), rows = labels.shape("softmax_cross_entropy");
  const bool is_matrix = shape.rank() <= 2;
  if (!is_matrix) {
    bool fits = rows.rank() + 1 == shape.rank();
    for (int axis = 0; fits && axis < rows.rank(); ++axis) fits = rows[axis] == shape[axis];
    check(fits, "softmax_cross_entropy", "logits ", logits.type(), " need one label for each row, got ", labels.type());
    logits = reshape(logits, {rows.elements(), shape[-1]});
    labels = reshape(labels, {rows.elements()});
  }
  const std::vector<Value> operands{logits, labels};
  const std::vector<Value> out = add(SoftmaxCrossEntropy{}, operands);
  if (is_matrix) return {out[0], out[1]};
  return {reshape(out[0], rows), reshape(out[1], shape)};
}

Value random(Graph& graph, Distribution distribution, double p, Shape shape) {
  return graph.add_one(Random{distribution, p, graph.next_random_site(), shape}, {graph.rng_seed()});
}

}  // namespace deq
