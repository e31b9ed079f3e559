#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"
#include "core/depth_first.h"
#include "core/fixed_point.h"
#include "core/ladder.h"
#include "core/schedule.h"
#include "core/stopped.h"

namespace deq {

/// True for kernels that solve: the host decides how often they evaluate their map.
bool is_solve(const Kernel& kernel);

/// Launches frozen between the solves among them, which stay launches of their own.
std::vector<std::unique_ptr<Segment>> freeze_between_solves(Backend& backend, std::vector<BoundLaunch> launches);

/// The replayed launches of one region, bound to the arena, with its rungs if it has any.
class RegionMap final : public FixedPointMap {
 public:
  /// A result that does not depend on the states: copied into the output at every replay, for solvers write there.
  struct Preset {
    const std::byte* from = nullptr;
    std::byte* to = nullptr;
    std::size_t bytes = 0;
  };

  RegionMap(StateSpec spec, Backend& backend)
      : spec_(spec), ladder_(std::move(spec), backend.state_ops()), backend_(&backend) {}
  [[nodiscard]] const StateSpec& spec() const override { return spec_; }
  StateView input() override { return {input_}; }
  StateView output() override { return {output_}; }
  void replay() override {
    obey(stop_);
    preset();
    for (const auto& segment : segments_) segment->run();
    ladder_.forget();
  }
  int replay_running(std::span<const std::uint8_t> running) override;
  /// None where results are preset, which is done for all samples together.
  [[nodiscard]] int sample_threads() const override {
    return samples_ == nullptr || !presets_.empty() ? 0 : samples_->threads();
  }
  void replay_sample(int sample) override {
    obey(stop_);
    samples_->run_sample(sample);
  }

  FixedPointMap* pullback() override { return pullback_.get(); }
  FixedPointMap* pushforward() override { return pushforward_.get(); }
  FixedPointMap* outer_gradient() override { return outer_gradient_.get(); }
  /// The region of this role, which is this map itself or made now.
  RegionMap& of(RegionRole role);

  void bind(void* input, void* output) { input_ = input, output_ = output; }
  /// The launches of one evaluation, bound; `count`: how many they stand for.
  /// `samples` evaluates f for one sample, where one can.
  void set(std::vector<BoundLaunch> launches, std::size_t count, DepthFirst* samples);
  void add(Preset preset) { presets_.push_back(preset); }
  /// Evaluations throw Stopped once `stop` is true. Null: never.
  void stop_on(const std::atomic<bool>* stop) { stop_ = stop; }
  /// Once per solve, before the first replay, for the regions beside as well.
  void begin();
  [[nodiscard]] std::size_t launches() const { return launch_count_; }
  [[nodiscard]] Ladder& ladder() { return ladder_; }

 private:
  void preset() {
    for (const Preset& at : presets_) backend_->copy(at.to, at.from, at.bytes);
  }

  StateSpec spec_;
  void* input_ = nullptr;
  void* output_ = nullptr;
  std::vector<std::unique_ptr<Segment>> segments_;
  DepthFirst* samples_ = nullptr;
  std::size_t launch_count_ = 0;
  std::vector<Preset> presets_;
  const std::atomic<bool>* stop_ = nullptr;
  Ladder ladder_;
  Backend* backend_;
  std::unique_ptr<RegionMap> pullback_, pushforward_, outer_gradient_;
};

/// Runs a forward solve: copies z0 into the state, lets the solver work, leaves z* in its buffer.
class EquilibriumKernel final : public Kernel {
 public:
  EquilibriumKernel(std::unique_ptr<FixedPointSolver> solver, StateSpec spec, Backend& backend)
      : solver_(std::move(solver)), map_(std::move(spec), backend), backend_(&backend) {
    report_.resize(map_.spec().batch);
  }
  /// Inputs: z0 blocks; outputs: z* blocks, one after the other in memory.
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override;
  void run() override;

  [[nodiscard]] FixedPointSolver& solver() { return *solver_; }
  [[nodiscard]] RegionMap& map() { return map_; }
  [[nodiscard]] const SolveReport& report() const { return report_; }

 private:
  std::unique_ptr<FixedPointSolver> solver_;
  RegionMap map_;
  Backend* backend_;
  SolveReport report_;
  std::vector<const void*> z0_;
  void* z_ = nullptr;
};

/// Runs an adjoint solve with the estimate of its equilibrium, or a tangent solve with the estimate's transpose.
class LinearSolveKernel final : public Kernel {
 public:
  LinearSolveKernel(std::unique_ptr<AdjointSolver> solver, ImplicitSystem system, EquilibriumKernel& forward,
                    Backend& backend)
      : solver_(std::move(solver)),
        system_(system),
        forward_(&forward),
        map_(forward.map().spec(), backend),
        backend_(&backend) {
    report_.resize(map_.spec().batch);
  }
  /// Inputs: w blocks and one state (unused); outputs: u blocks. `workspace` gathers w.
  void bind(std::span<const void* const> inputs, std::span<void* const> outputs, void* workspace) override;
  void run() override;

  [[nodiscard]] AdjointSolver& solver() { return *solver_; }
  [[nodiscard]] RegionMap& map() { return map_; }
  [[nodiscard]] const SolveReport& report() const { return report_; }

 private:
  std::unique_ptr<AdjointSolver> solver_;
  ImplicitSystem system_;
  EquilibriumKernel* forward_;
  RegionMap map_;
  Backend* backend_;
  SolveReport report_;
  std::vector<const void*> w_blocks_;
  std::byte* w_ = nullptr;
  void* u_ = nullptr;
};

}  // namespace deq
