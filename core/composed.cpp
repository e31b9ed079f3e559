#include "core/composed.h"

#include <algorithm>

#include "core/builder.h"

namespace deq {
namespace {

Value scalar_like(Value like, double value) { return constant(*like.graph, value, {}, like.type().dtype); }

/// `difference` > 0 ? b : a, or nan where either is: their difference is nan then, but also between equal infinities.
Value chosen(Value difference, Value a, Value b) {
  const Value nan_of_b = unary(UnaryFn::sign, b) * 0.0;
  return where_positive(difference, b, a + nan_of_b);
}

void check_rows(std::string_view where, Value x) {
  const Shape& shape = x.shape(where);
  check(shape.rank() >= 1 && shape[-1] >= 1, where, "needs a last axis with elements, got ", x.type());
}

/// [.., K] -> [.., 1], the largest element of each row, by the one operation that compares: a pooling window. Windows
/// are square, so a row is laid out as a square image, which its own beginning fills up.
Value largest_of_rows(Value x) {
  const Shape shape = x.shape();
  const std::int64_t classes = shape[-1];
  std::int64_t side = 1;
  while (side * side < classes) ++side;
  const std::int64_t missing = side * side - classes;
  const Value filled = missing == 0 ? x : concat({x, slice(x, -1, 0, missing)}, -1);
  // The first axis stays the first: rows of different samples are then not joined.
  const std::int64_t batch = shape.rank() == 1 ? 1 : shape[0];
  std::int64_t rows = 1;
  for (int axis = 1; axis + 1 < shape.rank(); ++axis) rows *= shape[axis];
  const int window = static_cast<int>(side);
  const Value image = reshape(filled, Shape{batch, rows * side, side, 1});
  return reshape(max_pool(image, {.kernel = window, .stride = window, .pad = 0}), shape.with(-1, 1));
}

/// `axis` of `shape` counted from the front.
int axis_of(std::string_view where, Value x, int axis) {
  const int rank = x.shape(where).rank();
  check(axis >= -rank && axis < rank, where, x.type(), " has no axis ", axis);
  return axis < 0 ? axis + rank : axis;
}

/// x with `axes` reduced to their largest element.
Value largest(std::string_view where, Value x, const std::vector<int>& axes, bool keep_dims) {
  const Shape shape = x.shape(where);
  std::vector<bool> is_reduced(static_cast<std::size_t>(shape.rank()), axes.empty());
  for (const int given : axes) {
    const auto axis = static_cast<std::size_t>(axis_of(where, x, given));
    check(!is_reduced[axis], where, "axis ", given, " is named twice");
    is_reduced[axis] = true;
  }
  std::vector<int> order, last;
  std::vector<std::int64_t> rows, result;
  std::int64_t choices = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool goes = is_reduced[static_cast<std::size_t>(axis)];
    (goes ? last : order).push_back(axis);
    if (goes)
      choices *= shape[axis];
    else
      rows.push_back(shape[axis]);
    if (!goes || keep_dims) result.push_back(goes ? 1 : shape[axis]);
  }
  check(choices >= 1, where, x.type(), " has nothing to choose from");
  order.insert(order.end(), last.begin(), last.end());
  rows.push_back(choices);
  if (choices > 1 && !std::ranges::is_sorted(order)) x = transpose(x, order);
  return reshape(choices == 1 ? x : largest_of_rows(reshape(x, Shape(rows))), Shape(result));
}

}  // namespace

Value where_positive(Value x, Value yes, Value no) {
  (void)x.owner("where_positive");
  const Value is_positive = relu_grad(x, scalar_like(x, 1.0));
  return relu_grad(x, yes) + relu_grad(0.5 - is_positive, no);
}

Value detach(Value x) {
  const Value nothing = constant(x.owner("detach"), 0, x.shape(), x.type().dtype);
  return x.graph->add_one(StandIn{}, {nothing, x});
}

Value maximum(Value a, Value b) { return chosen(b - a, a, b); }
Value minimum(Value a, Value b) { return chosen(a - b, a, b); }

Value clamp(Value x, double low, double high) {
  (void)x.owner("clamp");
  check(low <= high, "clamp", "the bounds are ", low, " and ", high, ", of which the first must not be larger");
  const Value raised = where_positive(low - x, scalar_like(x, low), x);
  return where_positive(x - high, scalar_like(x, high), raised);
}

Value max(Value x, std::vector<int> axes, bool keep_dims) { return largest("max", x, axes, keep_dims); }
Value min(Value x, std::vector<int> axes, bool keep_dims) {
  (void)x.owner("min");
  return -largest("min", -x, axes, keep_dims);
}

/// Sums of 2, 4, 8, .. elements, each from two of half the length.
Value cumsum(Value x, int axis) {
  axis = axis_of("cumsum", x, axis);
  const std::int64_t extent = x.shape()[axis];
  for (std::int64_t length = 1; length < extent; length *= 2)
    x = x + pad(slice(x, axis, 0, extent - length), axis, length, 0);
  return x;
}

Value stack(const std::vector<Value>& parts, int axis) {
  check(!parts.empty(), "stack", "needs at least one part");
  const TensorType first = parts.front().type("stack");
  const int rank = first.shape.rank();
  check(axis >= -rank - 1 && axis <= rank, "stack", "parts ", first, " have no place for a new axis ", axis);
  std::vector<std::int64_t> extents;
  for (int i = 0; i < rank; ++i) extents.push_back(first.shape[i]);
  if (axis < 0) axis += rank + 1;
  extents.insert(extents.begin() + axis, 1);
  std::vector<Value> slabs;
  for (const Value& part : parts) {
    const TensorType& type = part.type("stack");
    check(type == first, "stack", "a part is ", type, " and another ", first);
    slabs.push_back(reshape(part, Shape(extents)));
  }
  return concat(slabs, axis);
}

std::vector<Value> split(Value x, int axis, int count) {
  axis = axis_of("split", x, axis);
  const std::int64_t extent = x.shape()[axis];
  check(count >= 1 && extent % count == 0, "split", x.type(), " cannot be cut into ", count, " equal parts along axis ",
        axis);
  std::vector<Value> parts;
  const std::int64_t size = extent / count;
  for (std::int64_t i = 0; i < count; ++i) parts.push_back(slice(x, axis, i * size, (i + 1) * size));
  return parts;
}

Value silu(Value x) { return x * sigmoid(x); }

/// m + log(exp(-m) + exp(x - m)) is the same for every m, so what relu's slope at 0 is taken to be does not matter.
Value softplus(Value x) {
  const Value m = relu(x);
  return m + log(exp(-m) + exp(x - m));
}

Value softmax(Value x) {
  check_rows("softmax", x);
  const Shape shape = x.shape();
  const std::int64_t rows = shape.with(-1, 1).elements();
  const Value unlabelled = constant(*x.graph, -1.0, {rows}, DType::i32);
  return reshape(softmax_cross_entropy(reshape(x, Shape{rows, shape[-1]}), unlabelled).probability, shape);
}

Value log_softmax(Value x) {
  check_rows("log_softmax", x);
  const Value shifted = x - largest_of_rows(x);
  return shifted - log(sum(exp(shifted), {-1}, /*keep_dims=*/true));
}

}  // namespace deq
