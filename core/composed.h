#pragma once

#include "core/graph.h"

// Functions that are made of several nodes of core/builder.h. Errors as there; nan stays nan unless it says otherwise.

namespace deq {

/// x > 0 ? yes : no, with NumPy broadcasting. What is not chosen neither shows, be it inf or nan, nor gets a gradient;
/// x gets none. Where x is nan: no.
Value where_positive(Value x, Value yes, Value no);
/// Elementwise with NumPy broadcasting. Where a == b the gradient is a's.
Value maximum(Value a, Value b);
Value minimum(Value a, Value b);
/// x within [low, high], where its gradient is 1; outside the nearer bound. Errors: not low <= high.
Value clamp(Value x, double low, double high);

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
