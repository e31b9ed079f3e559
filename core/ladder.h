#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/state_ops.h"

namespace deq {

/// The copies of a region for smaller batches (Region::Rung), bound to the arena: evaluates f for the samples that
/// still run, and for no others.
///
/// n running samples are spread over the rungs, 13 = 8 + 4 + 1, so that exactly the running samples are computed. Their
/// rows are gathered, the rung is replayed, its results go back to their rows. Rungs share memory with each other and
/// with the whole region, for they are never used at the same time. Nothing allocates after `prepare`.
class Ladder {
 public:
  /// Rows of an outer value that a rung keeps a gathered copy of.
  struct Capture {
    const std::byte* from = nullptr;
    std::byte* to = nullptr;
    std::size_t row_bytes = 0;
  };
  struct Rung {
    int rows = 0;
    std::byte* input = nullptr;
    const std::byte* output = nullptr;
    std::unique_ptr<Segment> segment = {};
    std::vector<Capture> captures = {};
  };

  /// `ops` must outlive the ladder.
  Ladder(StateSpec spec, StateOps& ops) : spec_(std::move(spec)), ops_(&ops) {}

  /// Rungs come largest first; the last has one row.
  void add(Rung rung) { rungs_.push_back(std::move(rung)); }
  /// Once, after the last rung.
  void prepare();
  [[nodiscard]] bool is_empty() const { return rungs_.empty(); }
  /// What rungs have gathered is no longer valid: new values, or the whole region has run.
  void forget() { active_ = nullptr; }
  /// Rows of `out` = f(rows of `in`) for the samples in `running` (nonzero entries of [batch]).
  /// @returns rows computed
  int replay(StateView in, StateView out, SampleMask running);

 private:
  void replay_piece(const Rung& rung, std::span<const int> samples, StateView in, StateView out);

  StateSpec spec_;
  StateOps* ops_;
  std::vector<Rung> rungs_;
  const Rung* active_ = nullptr;  // whose captures are in place
  std::vector<int> selected_;     // sample by row of the active rung
  std::vector<int> running_;      // samples, in order
  std::vector<int> slots_;        // 0, 1, 2, ...
};

}  // namespace deq
