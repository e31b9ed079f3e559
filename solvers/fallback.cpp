#include "solvers/fallback.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "solvers/slab.h"

namespace deq {

FallbackSolver::FallbackSolver(const StateSpec& spec, StateOps& ops, std::vector<std::unique_ptr<Loop>> links)
    : spec_(spec),
      ops_(&ops),
      links_(std::move(links)),
      rank_(static_cast<std::size_t>(spec.batch), 0),
      estimate_(*this) {
  check(!links_.empty() && links_.size() < 256, "solver", "a chain of ", links_.size(), " solvers");
  for (const auto& link : links_) {
    names_.push_back(names_.empty() ? link->name() : concat(names_.back(), " > ", link->name()));
    ended_here_.emplace_back(static_cast<std::size_t>(spec.batch), 0);
  }
}

std::size_t FallbackSolver::workspace_bytes() const {
  std::size_t bytes = 0;
  for (const auto& link : links_) bytes = std::max(bytes, link->workspace_bytes());
  return bytes;
}

std::size_t FallbackSolver::estimate_bytes() const {
  std::size_t bytes = 0;
  for (const auto& link : links_) bytes = std::max(bytes, link->estimate_bytes());
  Slab one;
  (void)one.take(spec_);
  return bytes == 0 ? 0 : bytes + one.used_bytes();
}

void FallbackSolver::bind(void* workspace, void* estimate) {
  Slab slab(estimate);
  if (estimate_bytes() > 0) {
    scratch_ = slab.take(spec_);
    estimate = static_cast<std::byte*>(estimate) + slab.used_bytes();
  }
  for (const auto& link : links_) link->bind(workspace, estimate);
}

void FallbackSolver::limit_steps(int max_steps) {
  for (const auto& link : links_) link->limit_steps(max_steps);
}

void FallbackSolver::solve(FixedPointMap& map, StateView z, SolveReport& report) {
  links_.front()->solve(map, z, report);
  used_ = 1;
  const auto has_breakdown = [&] { return std::any_of(report.status.begin(), report.status.end(), is_breakdown); };
  while (used_ < links_.size() && !report.is_out_of_time && has_breakdown()) {
    links_[used_]->take_over(map, z, static_cast<int>(used_), report);
    report.method = names_[used_++];
  }
  for (std::size_t link = 0; link < used_; ++link)
    for (std::size_t b = 0; b < rank_.size(); ++b) {
      ended_here_[link][b] = report.solver[b] == link ? 1 : 0;
      if (ended_here_[link][b] != 0) rank_[b] = links_[link]->estimate().rank()[b];
    }
}

void FallbackSolver::Estimate::gather(StateView x, StateView out, Transposition transposition) const {
  for (std::size_t link = 0; link < of_->used_; ++link) {
    const InverseEstimate& estimate = of_->links_[link]->estimate();
    const StateView to = link == 0 || of_->scratch_.data == nullptr ? out : of_->scratch_;
    switch (transposition) {
      case Transposition::none: estimate.apply(x, to); break;
      case Transposition::transposed: estimate.apply_transpose(x, to); break;
    }
    if (to.data != out.data) of_->ops_->copy(of_->spec_, to, out, of_->ended_here_[link]);
  }
}

std::string fallback_reason(const SolveReport& report) {
  std::array<int, kSolveStatusCount> causes{};
  int samples = 0;
  for (std::size_t b = 0; b < report.solver.size(); ++b) {
    if (report.solver[b] == 0) continue;
    ++samples;
    ++causes[static_cast<std::size_t>(report.cause[b])];
  }
  if (samples == 0) return {};
  std::string list;
  for (int i = 0; i < kSolveStatusCount; ++i)
    if (const int count = causes[static_cast<std::size_t>(i)]; count > 0)
      list += concat(list.empty() ? "" : ", ", count, " ", name_of(static_cast<SolveStatus>(i)));
  return concat(samples, samples == 1 ? " sample" : " samples", " changed solver (", report.method, "): ", list);
}

}  // namespace deq
