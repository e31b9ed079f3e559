#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/interpreter.h"

namespace deq {

struct GradcheckOptions {
  int elements_per_input = 16;  ///< elements varied one at a time (all of them when there are no more)
  int directions = 2;           ///< random directions that vary every element of an input at once
  double step = 1e-2;           ///< largest step of the differences
  std::uint64_t seed = 1;       ///< of cotangents, elements and directions
};

/// Outcome of a gradient check.
struct GradcheckReport {
  /// Largest |analytic - numeric| / max(|analytic|, |numeric|, 1e-3 m, 1e-4), where m is the largest gradient element
  /// of the same input: the floors keep rounding of the differences from counting where a derivative vanishes.
  double worst_error = 0;
  std::string worst;  ///< where that was: input, element and both derivatives
  int checks = 0;     ///< derivatives compared
};

/// Compares vjp with finite differences of sum_k <c_k, outputs[k]>, c_k drawn once, in double on the reference backend.
///
/// Each numeric derivative extrapolates central differences over falling steps and keeps the entry of the table that
/// its neighbours confirm best, so neither a kink a step away nor rounding spoils it (about 1e-10 on smooth functions).
/// Adds an input for each c_k and the derivative to the graph of `outputs`.
/// Source of the extrapolation: C. J. F. Ridders, Advances in Engineering Software 4(2), 1982.
/// @param bindings  values of all inputs; those of `wrt` are floats, best given as f64
/// @param wrt       names of inputs or parameters to vary
/// @throws Error    what vjp and interpret throw
GradcheckReport gradcheck(std::span<const Value> outputs, const Bindings& bindings, std::span<const std::string> wrt,
                          const GradcheckOptions& options = {});

}  // namespace deq
