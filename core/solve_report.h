#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace deq {

/// What the caller may rely on after a solve.
enum class SolveStatus : std::uint8_t {
  converged,   ///< the sample met the tolerance; z and M belong together
  max_steps,   ///< budget used; z is the best iterate seen, M is cut back to it
  stalled,     ///< no progress for `patience` steps; as max_steps
  diverged,    ///< residual grew past the limit; z is the best iterate, do not share M
  nonfinite,   ///< inf or nan appeared; z is the last finite best, do not share M
  not_solved,  ///< nothing was iterated, so there is no residual: an estimate was taken as it is (backward only)
};
inline constexpr int kSolveStatusCount = 6;
std::string_view name_of(SolveStatus status);
/// True where another solver may do better: stalled, diverged, nonfinite.
bool is_breakdown(SolveStatus status);

/// Record of one solve, per sample; where f joins samples, the batch counts as one (core/rebatch.h). Vectors are sized
/// once (`resize`), so a solve fills them without allocating.
struct SolveReport {
  std::vector<SolveStatus> status;        ///< [batch]
  std::vector<int> steps;                 ///< [batch] steps until the sample stopped
  std::vector<int> best_step;             ///< [batch] step of the returned iterate; 0 is the starting point
  std::vector<double> residual;           ///< [batch] residual of the returned iterate, in the norm of the tolerance
  std::vector<double> initial_residual;   ///< [batch]
  std::vector<std::uint8_t> is_fallback;  ///< [batch] the guard replaced the estimate (backward only)
  int map_calls = 0;                      ///< evaluations of the map
  std::int64_t sample_evaluations = 0;    ///< samples computed by them all; 0: not counted
  bool is_out_of_time = false;            ///< the time budget ended the solve
  int steps_run = 0;                      ///< steps of the slowest sample
  int breakdowns = 0;                     ///< updates skipped because a denominator was (almost) zero
  int restarts = 0;                       ///< times a full history was emptied or reduced to make room
  int jacobian_products = 0;              ///< products with J or J^T that the solver itself asked for
  std::vector<std::uint8_t> solver;       ///< [batch] place in the fallback chain of the solver that ended it; 0: first
  std::vector<SolveStatus> cause;         ///< [batch] how the solver before that one ended; read where solver > 0
  std::string_view method;                ///< name of the method or estimator that ran; lives as long as its solver

  /// An empty record: counters at 0.
  void resize(int batch);
  [[nodiscard]] double mean_residual() const;
  [[nodiscard]] double mean_steps() const;
  [[nodiscard]] double fallback_fraction() const;
  /// Share of batch * map_calls that was not computed because samples had stopped; 0 for solvers that do not count.
  [[nodiscard]] double evaluations_saved() const;
  [[nodiscard]] int count(SolveStatus status) const;
};

}  // namespace deq
