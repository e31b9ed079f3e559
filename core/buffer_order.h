#pragma once

#include <vector>

#include "core/plan.h"
#include "core/precedence.h"

namespace deq {

/// Which buffers of a plan may share memory where launches of a segment run side by side: only those of which one is
/// done with, by what launches must wait for anyway, before the other is written. Sharing then delays nobody.
class BufferOrder {
 public:
  /// `plan` has everything but offsets, and must outlive this.
  BufferOrder(const PlanRequest& request, const MemoryPlan& plan);
  /// True when all launches that touch `first` end before those that touch `then` start. `first` is the one whose
  /// positions come first.
  [[nodiscard]] bool precedes(std::size_t first, std::size_t then) const;

 private:
  struct Access {
    int position = 0;
    bool writes = false;
    std::size_t offset = 0, bytes = 0;
    [[nodiscard]] bool meets(const Access& other) const {
      return (writes || other.writes) && offset < other.offset + other.bytes && other.offset < offset + bytes;
    }
  };
  void find_segments(const PlanRequest& request);
  void find_accesses(const PlanRequest& request);
  void find_precedence();

  const MemoryPlan& plan_;
  std::vector<int> segment_;                   ///< by position
  std::vector<std::vector<Access>> accesses_;  ///< by buffer, in order of position
  Precedence precedence_;                      ///< of positions, within segments
};

}  // namespace deq
