#pragma once

#include <vector>

#include "core/graph.h"

// Functions that are made of several nodes of core/builder.h. Errors as there; nan stays nan unless it says otherwise.

namespace deq {

/// x > 0 ? yes : no, with NumPy broadcasting. What is not chosen neither shows, be it inf or nan, nor gets a gradient;
/// x gets none. Where x is nan: no.
Value where_positive(Value x, Value yes, Value no);
/// x as a value of its own: the same numbers, from which no gradient flows back to x.
Value detach(Value x);
/// Elementwise with NumPy broadcasting. Where a == b the gradient is a's.
Value maximum(Value a, Value b);
Value minimum(Value a, Value b);
/// x within [low, high], where its gradient is 1; outside the nearer bound. Errors: not low <= high.
Value clamp(Value x, double low, double high);

/// Largest and smallest element over `axes`, as `sum` takes them. The gradient goes to one of those that are equal.
/// Errors: an axis that x does not have or that is named twice; nothing to choose from.
Value max(Value x, std::vector<int> axes = {}, bool keep_dims = false);
Value min(Value x, std::vector<int> axes = {}, bool keep_dims = false);
/// Sums of all elements up to each along `axis`: y[k] = x[0] + .. + x[k].
Value cumsum(Value x, int axis);

/// Values of one shape along a new axis, which the result has at `axis`.
Value stack(const std::vector<Value>& parts, int axis = 0);
/// x cut along `axis` into `count` parts of one size. Errors: the extent is no multiple of `count`.
std::vector<Value> split(Value x, int axis, int count);

/// x * sigmoid(x).
Value silu(Value x);
/// log(1 + exp(x)), also for x whose exponential overflows; nan for inf. Where the result is far below 1 its error is
/// that of a number around 1.
Value softplus(Value x);

/// exp(x) over its sum along the last axis, [.., K] like x, for entries of any size (-inf gives 0).
/// Errors: a scalar; K is 0.
Value softmax(Value x);
/// Its logarithm, which does not underflow where softmax does.
Value log_softmax(Value x);

}  // namespace deq
