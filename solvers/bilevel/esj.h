#pragma once

#include <cstdint>
#include <functional>

#include "solvers/bilevel/problem.h"

namespace deq {

/// One inner run: w [d] holds the start on entry, the end on return. The same lambda and start give the same end.
using InnerRun = std::function<void(ConstVector lambda, Vector w)>;
/// Makes the run of one thread, with a problem and solver of its own.
using InnerRunFactory = std::function<InnerRun()>;

/// independent: N(0, I) directions, averaged. orthogonal: orthonormal ones, scaled by p / Q; with Q >= p the estimate
/// is exact up to O(radius).
enum class ProbeDirections : std::uint8_t { orthogonal, independent };

struct EsjOptions {
  int directions = 10;   ///< Q; of orthogonal ones at most p are run
  double radius = 0.01;  ///< mu
  ProbeDirections kind = ProbeDirections::orthogonal;
  int threads = 0;  ///< 0: as many as there are cores
  std::uint64_t seed = 0;
  std::uint64_t draw = 0;  ///< number of this estimate: each draws other directions
  bool operator==(const EsjOptions&) const = default;
};

struct EsjReport {
  double outer_value = 0.0;
  int runs = 0;       ///< inner runs, the one at lambda included
  int nonfinite = 0;  ///< directions left out because their run ended in inf or nan
};

/// Evolution-strategies Jacobian: the response of the inner run to lambda by forward differences of whole runs along Q
/// directions u, gradient = grad_lambda F + (1/Q) sum_j u_j <grad_w F, (w_T(lambda + mu u_j) - w_T(lambda)) / mu>.
/// Needs no Hessian product and no mixed derivative; the inner solver may be a black box. For about 30 hyper-parameters
/// at most; with fewer directions than hyper-parameters it is noisy, so the outer step must fall or Q grow. Bits do not
/// depend on the number of threads.
///
/// Source: D. Sow, K. Ji, Y. Liang, On the convergence theory for Hessian-free bilevel algorithms, NeurIPS 2022.
/// @param problem   for F
/// @param w         [d] start of every run on entry, w_T(lambda) on return
/// @param gradient  [p]
EsjReport estimate_esj(BilevelProblem& problem, const InnerRunFactory& make_run, ConstVector lambda, Vector w,
                       const EsjOptions& options, Vector gradient);

}  // namespace deq
