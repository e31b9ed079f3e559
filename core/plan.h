#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/schedule.h"

namespace deq {

/// Memory of one or more values over an interval of positions.
struct Buffer {
  std::size_t bytes = 0;
  std::size_t offset = 0;  ///< into the arena
  int first = 0;           ///< position of the first write
  int last = 0;            ///< position of the last access
};

/// Where a value lives: a buffer of the arena, or the storage of a parameter.
struct Place {
  static constexpr int kNone = -1;
  int buffer = kNone;
  std::size_t offset = 0;  ///< into the buffer; where each thread holds one sample, into the part of a thread
  NodeId parameter = 0;    ///< meaning when is_external
  bool is_external = false;
  int sample_run = kNone;  ///< the run of which each thread holds the rows of the sample that it works on
};

/// Launches that run side by side for different samples (core/sample_runs.h).
struct SideBySide {
  Span positions;
  std::int64_t samples = 1;
  int threads = 1;
};

/// Sizes that only lowered kernels and solvers know.
struct Scratch {
  std::vector<std::size_t> kernel_bytes;    ///< by position
  std::vector<std::size_t> solver_bytes;    ///< by solve: workspace during the solve
  std::vector<std::size_t> estimate_bytes;  ///< by solve: alive until the last adjoint solve that reads it
  std::vector<SideBySide> sample_runs = {};
};

/// One arena for everything a program touches: liveness over the schedule, in place where the op allows it.
struct MemoryPlan {
  std::vector<Buffer> buffers;
  std::vector<std::vector<Place>> places;  ///< [node][output]
  std::vector<int> kernel_buffer;          ///< by position; Place::kNone when no scratch is needed
  std::vector<int> solver_buffer;          ///< by solve
  std::vector<int> estimate_buffer;        ///< by solve
  std::vector<int> cotangent_buffer;       ///< by solve: contiguous w of an adjoint solve
  std::vector<int> state_buffer;           ///< by solve: input of the map
  std::vector<int> result_buffer;          ///< by solve: output of the map
  std::vector<int> solution_buffer;        ///< by solve: z* or u
  /// By solve and rung: input and output of the map.
  std::vector<std::vector<int>> rung_state_buffer, rung_result_buffer;
  std::vector<std::size_t> thread_bytes;  ///< by sample run: what a thread holds of a sample
  std::size_t peak_bytes = 0;
  int in_place_count = 0;

  [[nodiscard]] Place place(Ref ref) const { return places[ref.node][ref.output]; }
};

struct PlanRequest {
  const Graph& graph;
  const ProgramSchedule& schedule;
  std::span<const Ref> outputs;
  const Backend& backend;
  const Scratch& scratch;
  bool shares_parameters = true;  ///< parameters are read and written in their own storage
  bool keeps_slow_rates = false;  ///< what faster rates read of constant and step rate survives from run to run
};

/// True for nodes that compute nothing: their outputs are the bytes of operands.
bool is_alias(const Op& op);

MemoryPlan plan_memory(const PlanRequest& request);

class BufferOrder;

/// Chooses offsets (multiples of 64) so that buffers alive together do not overlap, nor those that `order`, where there
/// is one, does not put one after the other; returns the arena size.
std::size_t assign_offsets(std::vector<Buffer>& buffers, const BufferOrder* order = nullptr);

}  // namespace deq
