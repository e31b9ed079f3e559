#pragma once

#include <string>
#include <string_view>

#include "solvers/options.h"

namespace deq {

/// Backward estimators by name: jfb, shine, shine-fallback, gdeq, shine-refine-K, jfb-refine-K, limited-K, exact,
/// neumann-K, nystrom-K, phantom-K, unrolled-K, adjoint-broyden, adjoint-broyden-opa. `exact` solves to the tolerance
/// and step limit of FullAdjoint's defaults. gdeq, adjoint-broyden and adjoint-broyden-opa are shine after a forward
/// solver of their own, which these options do not hold: policy_from_name (solvers/policy.h) gives both.
/// Errors (RequestError): an unknown name, listing those above; K that is not a positive number.
AdjointOptions adjoint_from_name(const std::string& name);
/// True when adjoint_from_name knows the name.
bool is_adjoint_name(const std::string& name);
/// The forward solver that an estimator runs on when `chosen` is asked for: adjoint Broyden for those called after it
/// (with extra updates every kOuterEvery steps for -opa where `chosen` has none), Broyden for gdeq, `chosen` for the
/// others. One that replaces `chosen` keeps `memory` updates, as of Broyden.
SolverMethod forward_method_of(const std::string& estimator, const SolverMethod& chosen, int memory);
/// The name that gives these options back, or the nearest one where a constant differs.
std::string name_of(const AdjointOptions& options);

/// `exact` and `limited-K` by another method: broyden, broyden-lowrank, anderson, picard, gmres or bicgstab. Other
/// estimators come back as they are. Errors (RequestError): an unknown name, listing these.
AdjointOptions with_backward_method(const AdjointOptions& options, const std::string& method);

/// Solvers by name: picard, anderson, broyden, broyden-lowrank, adjoint-broyden, newton-krylov. Errors (RequestError):
/// an unknown name, listing them.
SolverMethod method_from_name(const std::string& name);

/// One line, e.g. "broyden(max_steps=18, relative 0.001)".
std::string describe(const SolverOptions& options);

}  // namespace deq
