#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "core/graph.h"

// Functions that add one node to the graph of their operands. Shapes and attributes: core/op/*.h. Every function throws
// Error (op, types, label) when its operands are empty or do not fit.

namespace deq {

Value constant(Graph& graph, double value, Shape shape = {}, DType dtype = DType::f32);

/// The array `values`, which is copied and never changes. Equal arrays are one value, so that functions which are
/// traced several times, as those of equilibria are, may make theirs. Errors: an empty tensor.
Value constant(Graph& graph, const Tensor& values);

Value relu(Value x);
Value gelu(Value x);
Value tanh(Value x);
Value sigmoid(Value x);
Value exp(Value x);
Value log(Value x);
Value sqrt(Value x);
Value reciprocal(Value x);
Value abs(Value x);
Value sin(Value x);
Value cos(Value x);
Value square(Value x);
Value unary(UnaryFn fn, Value x);

Value operator+(Value a, Value b);
Value operator-(Value a, Value b);
Value operator*(Value a, Value b);
Value operator/(Value a, Value b);
Value operator+(Value x, double offset);
Value operator-(Value x, double offset);
Value operator*(Value x, double scale);
Value operator+(double offset, Value x);
/// minuend - x.
Value operator-(double minuend, Value x);
Value operator*(double scale, Value x);
/// x times the rounded 1 / divisor, and dividend times the rounded 1 / x.
Value operator/(Value x, double divisor);
Value operator/(double dividend, Value x);
Value operator-(Value x);
/// relu_grad(x, g) = x > 0 ? g : 0.
Value relu_grad(Value x, Value g);
Value affine(Value x, double scale, double offset);
Value copy(Value x);

Value reshape(Value x, Shape shape);
/// As above; one extent may be -1 and is then what the elements of x leave. Errors: two of them; the others do not
/// divide the elements of x.
Value reshape(Value x, std::initializer_list<std::int64_t> extents);
/// [B, ..] -> [B, product of the rest].
Value flatten(Value x);
Value transpose(Value x, std::vector<int> permutation);
Value concat(const std::vector<Value>& parts, int axis);
Value slice(Value x, int axis, std::int64_t begin, std::int64_t end);
Value pad(Value x, int axis, std::int64_t before, std::int64_t after);
Value broadcast_to(Value x, Shape shape);
/// Axes may be negative; empty means all.
Value sum(Value x, std::vector<int> axes = {}, bool keep_dims = false);
Value mean(Value x, std::vector<int> axes = {}, bool keep_dims = false);
/// Sums `x` down to `shape`: the transpose of broadcasting from `shape`.
Value sum_to(Value x, Shape shape);

/// [.., m,k] x [.., k,n] -> [.., m,n] with equal leading axes, or [.., m,k] x [k,n]: one matrix for all of them.
Value matmul(Value a, Value b, bool transpose_a = false, bool transpose_b = false);
Value conv2d(Value x, Value weight, Conv2d options = {});
Value conv2d_input_grad(Value g, Value weight, Conv2d options, std::int64_t height, std::int64_t width);
Value conv2d_weight_grad(Value x, Value g, Conv2d options, std::int64_t kernel_h, std::int64_t kernel_w);

struct GroupNormValues {
  Value y, stats;
};
/// `gamma` and `beta` [C] are both given or both empty.
GroupNormValues group_norm(Value x, int groups, double eps, Value gamma = {}, Value beta = {});
struct BatchNormValues {
  Value y, mean, variance;
};
BatchNormValues batch_norm(Value x, double eps, Value gamma = {}, Value beta = {});

Value resize(Value x, Resize options);
/// Nearest-neighbour enlargement of both image axes by `factor`.
Value upsample_nearest(Value x, int factor);
Value avg_pool(Value x, AvgPool options);
Value max_pool(Value x, MaxPool options);
/// Mean over height and width: [B,H,W,C] -> [B,C].
Value global_avg_pool(Value x);

// Indices are i32[..]. One that is out of range is no error, since a running program cannot throw: gather and one_hot
// give a row of zeros for it, scatter_add leaves its message out, and so do their derivatives.

/// Rows of table [V,D] by index: [..,D].
Value gather(Value table, Value index);
/// The transpose of gather: row v of the result [rows,D] is the sum of the messages [..,D] whose index [..] is v.
/// Message passing along the edges of a graph is scatter_add(gather(nodes, from), to, rows of `nodes`).
Value scatter_add(Value messages, Value index, std::int64_t rows);
/// [..] -> f32[..,classes].
Value one_hot(Value index, std::int64_t classes);
struct CrossEntropyValues {
  Value loss, probability;  ///< like the labels, like the logits
};
CrossEntropyValues softmax_cross_entropy(Value logits, Value labels);
/// Draws at the graph's seed: see Random. `site` defaults to a fresh one.
Value random(Graph& graph, Distribution distribution, double p, Shape shape);

}  // namespace deq
