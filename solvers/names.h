#pragma once

#include <string>
#include <string_view>

#include "solvers/options.h"

namespace deq {

/// Backward estimators by name: jfb, shine, shine-fallback, shine-refine-K, jfb-refine-K, limited-K, exact.
/// `exact` solves to the tolerance and step limit of FullAdjoint's defaults.
/// Errors (RequestError): an unknown name, listing those above; K that is not a positive number.
AdjointOptions adjoint_from_name(const std::string& name);
/// The name that gives these options back, or the nearest one where a constant differs.
std::string name_of(const AdjointOptions& options);

/// Solvers by name: picard, anderson, broyden, broyden-lowrank. Errors (RequestError): an unknown name, listing them.
SolverMethod method_from_name(const std::string& name);

/// One line, e.g. "broyden(max_steps=18, relative 0.001)".
std::string describe(const SolverOptions& options);

}  // namespace deq
