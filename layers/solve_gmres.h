#pragma once

#include <functional>
#include <string>

#include "core/graph.h"

namespace deq {

struct GmresOptions {
  double tolerance = 1e-5;  ///< |b - A x| < tolerance |x|, of the forward; |w - A^T u| < tolerance |u| backward
  int restart = 30;         ///< directions until the basis is emptied; restart + 3 vectors are kept
  int max_cycles = 10;      ///< of `restart` products with A; of A^T in the backward
  std::string name = "solve_gmres";  ///< for labels
};

/// x with A x = b, each sample of b [B, ..] (f32) alone, by GMRES: a linear layer whose weights make the system.
/// `apply` gives A x for x like b; what else it reads (weights, data) it captures and gets gradients, by one solve with
/// A^T, as does b. Any order of derivatives (DerivativeOptions). A system that is not solved, singular or too hard, is
/// a status in Program::forward_report, like any equilibrium: it is that of x -> x + b - A x. Errors: as
/// trace_equilibrium; restart or max_cycles below 1. That `apply` is linear is not checked.
Value solve_gmres(const std::function<Value(Value)>& apply, Value b, const GmresOptions& options = {});

}  // namespace deq
