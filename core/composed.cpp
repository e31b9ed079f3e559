#include "core/composed.h"

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

}  // namespace

Value where_positive(Value x, Value yes, Value no) {
  (void)x.owner("where_positive");
  const Value is_positive = relu_grad(x, scalar_like(x, 1.0));
  return relu_grad(x, yes) + relu_grad(0.5 - is_positive, no);
}

Value maximum(Value a, Value b) { return chosen(b - a, a, b); }
Value minimum(Value a, Value b) { return chosen(a - b, a, b); }

Value clamp(Value x, double low, double high) {
  (void)x.owner("clamp");
  check(low <= high, "clamp", "the bounds are ", low, " and ", high, ", of which the first must not be larger");
  const Value raised = where_positive(low - x, scalar_like(x, low), x);
  return where_positive(x - high, scalar_like(x, high), raised);
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
