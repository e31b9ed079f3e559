#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

namespace deq {

/// z <- (1 - damping) z + damping f(z). damping in (0, 1].
struct Picard {
  double damping = 1.0;
  bool operator==(const Picard&) const = default;
};

/// Added to the diagonal of Anderson's Gram matrix: `value`, or `value` times its largest diagonal entry.
/// A relative ridge keeps acting the same as residuals shrink; an absolute one stops the acceleration there.
struct Ridge {
  double value = 1e-10;
  bool is_relative = true;
  bool operator==(const Ridge&) const = default;
};

/// Anderson acceleration (D. G. Anderson, J. ACM 12, 1965) over the last `memory` iterates, memory >= 1.
struct Anderson {
  int memory = 6;
  double mixing = 1.0;
  Ridge ridge{};
  bool operator==(const Anderson&) const = default;
};
/// Anderson with the constants of the DEQ reference implementations.
inline constexpr Anderson kReferenceAnderson{
    .memory = 6, .mixing = 1.0, .ridge = {.value = 1e-4, .is_relative = false}};

/// How Broyden's inverse is stored: the steps alone, or pairs u v^T.
enum class BroydenForm : std::uint8_t { product, low_rank };

/// What happens when the memory of a low-rank inverse is full.
enum class MemoryLimit : std::uint8_t {
  reduce,   ///< the smallest singular directions of M - I go; needs pairs u v^T, whatever `form` says, and twice the
            ///< memory where the estimate is kept, so that the one of the returned iterate is never lost
  restart,  ///< M = I again; the estimate of a returned iterate from before the restart is I
};

/// Type in which the steps of the product form are kept: that of the states, or bf16 at half the bytes of float32.
/// States, residuals and sums keep theirs; M is then exactly the product of the rounded steps, which is what backwards
/// apply.
enum class StepHistory : std::uint8_t { full, bf16 };

/// Good Broyden on the inverse with unit steps, M0 = I. `memory` updates are kept, 0: all of them, which are at
/// most kMostKept (solvers/kept_updates.h). An update whose denominator is below `breakdown` (relative) is skipped.
struct Broyden {
  BroydenForm form = BroydenForm::product;
  int memory = 0;
  double breakdown = 1e-6;
  MemoryLimit limit = MemoryLimit::reduce;
  StepHistory history = StepHistory::full;  ///< bf16 is for the product form that keeps every step or restarts
  bool operator==(const Broyden&) const = default;
};

/// Direction of the extra updates of adjoint Broyden. M^T v makes M^T v -> (I - J^T)^-1 v for the gradient v of the
/// outer loss; M v is what the published code of SHINE does, two orders worse, here to compare with it.
enum class OuterDirection : std::uint8_t { transposed, compatible };

/// Adjoint Broyden with the residual as direction: one product with J^T a step, M0 = I, unit steps. Every
/// `outer_every` steps (0: never) one more update for the gradient of the outer loss (OPA: outer-problem awareness).
/// Memory as in Broyden, always by reduction.
/// Source: S. Schlenkrich, A. Griewank, A. Walther, On the local convergence of adjoint Broyden methods, Math. Prog.
/// 121, 2010; the extra updates: Z. Ramzi et al., SHINE, ICLR 2022.
struct AdjointBroyden {
  int memory = 0;
  int outer_every = 0;
  OuterDirection direction = OuterDirection::transposed;
  double breakdown = 1e-6;
  bool operator==(const AdjointBroyden&) const = default;
};
/// Period of the extra updates in SHINE's published code.
inline constexpr int kOuterEvery = 5;

/// Inexact Newton: (I - J) s = r to the relative tolerance `forcing` by at most `inner_steps` of GMRES on products
/// with J. Leaves no estimate (M = I).
struct NewtonKrylov {
  int inner_steps = 10;
  double forcing = 0.1;
  bool operator==(const NewtonKrylov&) const = default;
};

using SolverMethod = std::variant<Picard, Anderson, Broyden, AdjointBroyden, NewtonKrylov>;

enum class NormMode : std::uint8_t { absolute, relative };

/// A sample has converged when |f(z) - z| < value (absolute) or |f(z) - z| / (|f(z)| + 1e-9) < value (relative).
/// value 0 asks for a fixed number of steps: only inf or nan stops a sample early.
struct Tolerance {
  double value = 1e-3;
  NormMode mode = NormMode::relative;
  bool operator==(const Tolerance&) const = default;
};

struct SolverOptions {
  SolverMethod method = Broyden{};
  int max_steps = 18;  ///< f is evaluated once more than there are steps
  Tolerance tolerance{};
  int patience = 20;               ///< steps without 1 % of progress until a sample counts as stalled; 0: never
  double divergence_factor = 1e3;  ///< a sample diverged when |r| exceeds this times its first |r|; 0: never
  /// Wall-clock milliseconds a solve may take, checked once a step; 0: no limit. f is evaluated at least once. Samples
  /// that still run end with max_steps.
  double time_budget_ms = 0.0;
  bool operator==(const SolverOptions&) const = default;
};

/// u = w.
struct JacobianFree {
  bool operator==(const JacobianFree&) const = default;
};
/// SHINE (Ramzi et al., ICLR 2022): u = M^T w with the forward solver's M. Where |M^T w| > max_gain |w|, u = w;
/// 0 switches that guard off. Samples whose forward diverged or was not finite always take u = w.
struct SharedInverse {
  double max_gain = 0.0;
  bool operator==(const SharedInverse&) const = default;
};
/// The guard of SHINE's published code.
inline constexpr double kShineGain = 1.8;

/// Where an iterative adjoint begins: u = 0, u = w (Jacobian-free), or u = M^T w with M^T as first inverse.
enum class AdjointStart : std::uint8_t { zero, identity, shared };

/// `steps` of a solver on u = w + J^T u from `start`. Only Broyden's product form can use the shared estimate.
struct Refined {
  AdjointStart start = AdjointStart::shared;
  int steps = 5;
  double max_gain = 0.0;  ///< as SharedInverse
  SolverMethod method = Broyden{};
  bool operator==(const Refined&) const = default;
};
/// The adjoint system solved to a tolerance.
struct FullAdjoint {
  SolverOptions solver{.max_steps = 30, .tolerance = {.value = 1e-6}};
  AdjointStart start = AdjointStart::identity;
  bool operator==(const FullAdjoint&) const = default;
};

enum class KrylovMethod : std::uint8_t { gmres, bicgstab };

/// The adjoint system by a Krylov method, every sample alone. A step is one product with J^T. From the shared start
/// M^T is the right preconditioner. Tolerance 0 asks for a fixed number of steps.
struct KrylovAdjoint {
  KrylovMethod method = KrylovMethod::gmres;
  int restart = 20;  ///< GMRES: steps until its basis is emptied, >= 1
  int max_steps = 30;
  Tolerance tolerance{.value = 1e-6};
  AdjointStart start = AdjointStart::identity;
  bool operator==(const KrylovAdjoint&) const = default;
};

/// u = w + J^T w + ... + (J^T)^terms w. A sample whose terms grow to `max_growth` times the smallest one before stops
/// at its best partial sum: there the spectral radius of J is above 1, or its powers grow before they shrink.
struct NeumannSeries {
  int terms = 5;
  double max_growth = 2.0;
  bool operator==(const NeumannSeries&) const = default;
};

/// Nystrom's method on I - J^T with its diagonal part I known (R. Hataya, M. Yamada, AISTATS 2023): `columns`
/// columns G of J^T, at coordinates K of the state that are drawn anew for every sample and cotangent.
///
/// J^T ~ G S^T (S: the unit vectors of K):  u = w + G (I - G_K)^-1 w_K. Exact when every coordinate is drawn.
/// For a symmetric J, J^T ~ G G_K^-1 G^T:   u = w - G (G^T G - G_K)^-1 G^T w. Exact when `columns` >= rank(J).
struct NystromColumns {
  int columns = 5;
  bool is_symmetric = false;
  std::uint64_t seed = 0;
  bool operator==(const NystromColumns&) const = default;
};

/// No adjoint solve: `steps` applications z <- (1 - damping) z + damping f(z) follow the solve and are differentiated
/// as ordinary nodes. damping < 1: the phantom gradient (Z. Geng et al., NeurIPS 2021). damping = 1: back-propagation
/// through the last `steps` applications, as in an unrolled network that is cut off.
struct Phantom {
  int steps = 5;
  double damping = 0.5;
  bool operator==(const Phantom&) const = default;
};

/// How the backward solves u = w + J^T u.
using AdjointOptions = std::variant<JacobianFree, SharedInverse, Refined, FullAdjoint, KrylovAdjoint, NeumannSeries,
                                    NystromColumns, Phantom>;

}  // namespace deq
