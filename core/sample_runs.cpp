#include "core/sample_runs.h"

#include <algorithm>

#include "core/row_rule.h"

namespace deq {
namespace {

constexpr std::int64_t kFewestElements = 1 << 16;  // results of a run

class SampleRunFinder {
 public:
  SampleRunFinder(const Graph& graph, const ProgramSchedule& schedule, const std::vector<Kernel*>& kernels, int threads)
      : graph_(graph), schedule_(schedule), kernels_(kernels), threads_(threads) {}

  std::vector<SampleRun> run() {
    for (const SolveSpan& solve : schedule_.solves) {
      solve_ = &solve;
      start(solve.own.first);
      for (int position = solve.own.first; position < solve.own.last; ++position) visit(position);
      finish(solve.own.last);
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] const Node& node_at(int position) const {
    return graph_.node(schedule_.order[static_cast<std::size_t>(position)]);
  }

  void start(int position) {
    first_ = position;
    elements_ = 0;
    joins_states_ = false;
    parts_.clear();
  }

  void visit(int position) {
    Kernel* kernel = kernels_[static_cast<std::size_t>(position)];
    if (kernel == nullptr) return;  // another view of a value
    const int home = schedule_.solve_of[schedule_.order[static_cast<std::size_t>(position)]];
    const bool is_own = home >= 0 && &schedule_.solves[static_cast<std::size_t>(home)] == solve_;
    auto* part = dynamic_cast<SampleKernel*>(kernel);
    if (part == nullptr || part->samples() == 0 || !is_own) {  // no such kernel, or one of a loop inside this one
      finish(position);
      return start(position + 1);
    }
    if (!parts_.empty() && (part->samples() != parts_.front()->samples() || reads_whole_of_run(position))) {
      finish(position);
      start(position);
    }
    parts_.push_back(part);
    joins_states_ = joins_states_ || reads_whole(position, [&](Ref ref) { return is_state(ref); });
    elements_ += node_at(position).outputs[0].shape.elements();
  }

  /// True when the launch reads, for every sample, all of what the run so
  /// far computes.
  [[nodiscard]] bool reads_whole_of_run(int position) const {
    return reads_whole(position, [&](Ref ref) { return schedule_.position[ref.node] >= first_; });
  }

  /// True when the launch reads, for every sample, all of a value that is `wanted`, through any number of views.
  template <class Wanted>
  [[nodiscard]] bool reads_whole(int position, const Wanted& wanted) const {
    const Node& node = node_at(position);
    const std::vector<Reading> readings = operand_readings(graph_, node);
    if (readings.empty()) return true;
    for (std::size_t i = 0; i < readings.size(); ++i)
      if (readings[i] == Reading::whole && wanted(viewed(node.inputs[i]))) return true;
    return false;
  }

  [[nodiscard]] Ref viewed(Ref ref) const {
    while (std::holds_alternative<Reshape>(graph_.node(ref).op)) ref = graph_.node(ref).inputs[0];
    return ref;
  }

  [[nodiscard]] bool is_state(Ref ref) const {
    const std::vector<Ref>& states = graph_.region(solve_->region).states;
    return std::find(states.begin(), states.end(), ref) != states.end();
  }

  /// Closes the run before `position`.
  void finish(int position) {
    if (parts_.size() < 2 || elements_ < kFewestElements) return;
    const std::int64_t samples = parts_.front()->samples();
    const std::int64_t rounds = (samples + threads_ - 1) / threads_;
    if (5 * rounds * threads_ > 6 * samples) return;  // more than a sixth of the threads' time would be idle
    const bool is_all = first_ == solve_->own.first && position == solve_->own.last;
    found_.push_back({.positions = {first_, position},
                      .kernel = std::make_unique<DepthFirst>(parts_, threads_),
                      .is_whole_map = is_all && !joins_states_});
  }

  const Graph& graph_;
  const ProgramSchedule& schedule_;
  const std::vector<Kernel*>& kernels_;
  int threads_;
  const SolveSpan* solve_ = nullptr;
  int first_ = 0;
  std::int64_t elements_ = 0;
  bool joins_states_ = false;  // a launch of the run reads, for every sample, all of a state
  std::vector<SampleKernel*> parts_;
  std::vector<SampleRun> found_;
};

}  // namespace

std::vector<SampleRun> find_sample_runs(const Graph& graph, const ProgramSchedule& schedule,
                                        const std::vector<Kernel*>& kernels, int threads) {
  return SampleRunFinder(graph, schedule, kernels, threads).run();
}

}  // namespace deq
