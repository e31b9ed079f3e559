#pragma once

#include <span>

#include "train/figure.h"
#include "train/run_history.h"

namespace deq {

/// Curves of training runs over the step: loss, accuracy, mIoU, residual and steps of the solver, the backward pass,
/// spectral radius, Jacobian penalty, learning rate, speed; a panel for which no run has values is left out. Values of
/// training steps are drawn pale with their running mean over them. Several runs lie over each other, one colour each,
/// evaluations solid and training dashed. Errors: Error when no panel has a value.
Figure run_figure(std::span<const RunHistory> runs);

}  // namespace deq
