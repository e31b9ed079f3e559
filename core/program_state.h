#pragma once

#include <memory>
#include <vector>

#include "core/plan.h"
#include "core/program.h"
#include "core/rewrite.h"
#include "core/schedule.h"
#include "core/segments.h"
#include "core/solve.h"

namespace deq {

/// A launch with what a message needs to name it.
struct Launch {
  std::unique_ptr<Kernel> kernel;
  NodeId node = 0;
};

/// What a program is made of. Compiled in program_compile.cpp, executed in program.cpp.
struct Program::State {
  Backend* backend = nullptr;
  ProgramOptions options;
  Rewritten rewritten;
  Schedule schedule;
  MemoryPlan plan;
  AlignedBytes arena;
  std::vector<std::vector<std::uint8_t>> output_used;  // [node][output]
  std::vector<Launch> launches;                        // by position
  std::vector<Segment> segments;                       // launches of loops that run sample by sample
  std::vector<std::size_t> constant_runs;              // launches of constant rate: once, after binding
  std::vector<std::size_t> step_runs;                  // when parameters changed
  std::vector<std::size_t> batch_runs;                 // every run
  std::vector<EquilibriumKernel*> equilibria;
  std::vector<AdjointKernel*> adjoints;  // by equilibrium; null where there is none
  bool is_training = false;
  bool is_step_stale = true;

  [[nodiscard]] const Graph& graph() const { return *rewritten.graph; }
  [[nodiscard]] bool shares_parameters() const {
    return backend->device().kind == DeviceKind::cpu && backend->storage(DType::f32) == DType::f32;
  }
  [[nodiscard]] std::byte* base(int buffer) const {
    return arena.get() + plan.buffers[static_cast<std::size_t>(buffer)].offset;
  }
  [[nodiscard]] void* address(Place place) const {
    if (place.is_external) return graph().storage(place.parameter)->raw();
    return place.buffer == Place::kNone ? nullptr : base(place.buffer) + place.offset;
  }
  [[nodiscard]] void* address(Ref ref) const { return address(plan.place(ref)); }

  void find_used_outputs();
  void lower();
  std::unique_ptr<Kernel> lower_node(NodeId id);
  std::unique_ptr<Kernel> lower_solve(const Equilibrium& op, const Node& node);
  std::unique_ptr<Kernel> lower_adjoint(const AdjointSolve& op);
  [[nodiscard]] Scratch scratch() const;
  void bind_all();
  void bind_solve(std::size_t solve);
  /// The launches at `positions`, segments as one.
  void add_launches(Span positions, RegionMap& map) const;
  void bind_rungs(std::size_t solve, RegionMap& map);
  [[nodiscard]] std::vector<Kernel*> kernels_in(Span positions) const;
  void sort_by_rate();
  /// ", N samples" when `position` belongs to a rung of the solve.
  [[nodiscard]] std::string rung_at(std::size_t position, int solve) const;
  void execute(std::size_t position);
  void check_finite(const Launch& launch) const;
  void upload_parameters();
  void store_assignments();
  [[nodiscard]] Ref mapped_input(Value input) const;
};

}  // namespace deq
