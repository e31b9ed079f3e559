#include "solvers/nystrom.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "solvers/pivoted_lu.h"

namespace deq {
namespace {

constexpr int kMostColumns = 10000;  // they solve a dense system of that size

/// The next number of a splitmix64 sequence. Source: S. Vigna, public domain reference.
std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Nystrom::Nystrom(const StateSpec& spec, StateOps& ops, const NystromColumns& options)
    : spec_(spec),
      ops_(&ops),
      options_(options),
      columns_(static_cast<int>(std::min<std::int64_t>(options.columns, spec.sample_elems()))),
      residual_(spec, ops, NormMode::relative),
      element_{.batch = 1, .block_elems = {1}, .dtype = spec.dtype} {
  require(options.columns >= 1, "nystrom", "columns is ", options.columns, " but must be at least 1");
  require(columns_ <= kMostColumns, "nystrom", "columns is ", options.columns, " for a state of ", spec.sample_elems(),
          " elements, but at most ", kMostColumns, " can be kept; lower it, e.g. to 20");
  const auto batch = static_cast<std::size_t>(spec.batch);
  const auto columns = static_cast<std::size_t>(columns_);
  coordinate_.assign(columns * batch, 0);
  gram_.assign(options.is_symmetric ? columns * columns * batch : 0, 0.0);
  weights_.assign(columns * batch, 0.0);
  matrix_.assign(columns * columns, 0.0);
  right_.assign(columns, 0.0);
  norm2_.assign(batch, 0.0);
}

void Nystrom::layout(Slab& workspace) {
  stack_ = workspace.take(spec_, columns_);
  one_ = workspace.take(element_);
}

std::int64_t& Nystrom::coordinate(int index, int sample) {
  return coordinate_[static_cast<std::size_t>(index * spec_.batch + sample)];
}

void Nystrom::draw(StateView w) {
  ops_->dots(spec_, single(w), 1, w, norm2_, {});
  const std::int64_t elements = spec_.sample_elems();
  for (int b = 0; b < spec_.batch; ++b) {
    std::uint64_t state = options_.seed ^ std::bit_cast<std::uint64_t>(norm2_[static_cast<std::size_t>(b)]);
    // R. Floyd's distinct draw: number i is among the first elements - columns + i + 1, or that last one.
    for (int i = 0; i < columns_; ++i) {
      const std::int64_t last = elements - columns_ + i;
      std::int64_t chosen = static_cast<std::int64_t>(next_random(state) % static_cast<std::uint64_t>(last + 1));
      for (int k = 0; k < i; ++k)
        if (coordinate(k, b) == chosen) {
          chosen = last;
          break;
        }
      coordinate(i, b) = chosen;
    }
  }
}

StateView Nystrom::element(StateView state, int sample, std::int64_t position) const {
  std::int64_t start = 0;
  for (const std::int64_t elems : spec_.block_elems) {
    if (position < elems) {
      const auto at = static_cast<std::size_t>(start + sample * elems + position);
      return {static_cast<std::byte*>(state.data) + at * size_of(spec_.dtype)};
    }
    start += spec_.batch * elems;
    position -= elems;
  }
  return {};
}

double Nystrom::read(StateView state, int sample, std::int64_t position) {
  // An element as a state of one number; its product with the 1 that is kept beside the columns is its value.
  double value = 0.0;
  ops_->dots(element_, single(element(state, sample, position)), 1, one_, {&value, 1}, {});
  return value;
}

void Nystrom::make_column(const LinearSystem& system, int index) {
  ops_->fill(spec_, system.vjp->input(), 0.0, {});
  for (int b = 0; b < spec_.batch; ++b)
    ops_->fill(element_, element(system.vjp->input(), b, coordinate(index, b)), 1.0, {});
  system.vjp->replay();
  ops_->copy(spec_, system.vjp->output(), stack_.at(index), {});
}

bool Nystrom::solve_small(StateView w, int b) {
  const auto n = static_cast<std::size_t>(columns_);
  for (int i = 0; i < columns_; ++i) {
    for (int j = 0; j < columns_; ++j) {
      double& entry = matrix_[static_cast<std::size_t>(i) * n + static_cast<std::size_t>(j)];
      const double from_map = read(stack_.at(j), b, coordinate(i, b));
      if (options_.is_symmetric)
        entry = gram_[static_cast<std::size_t>((i * columns_ + j) * spec_.batch + b)] - from_map;
      else
        entry = (i == j ? 1.0 : 0.0) - from_map;
    }
    double& right = right_[static_cast<std::size_t>(i)];
    right =
        options_.is_symmetric ? -weights_[static_cast<std::size_t>(i * spec_.batch + b)] : read(w, b, coordinate(i, b));
  }
  const bool is_solved = solve_pivoted(matrix_, right_);
  for (int i = 0; i < columns_; ++i)
    weights_[static_cast<std::size_t>(i * spec_.batch + b)] = is_solved ? right_[static_cast<std::size_t>(i)] : 0.0;
  return is_solved;
}

void Nystrom::solve(const LinearSystem& system, StateView u, SolveReport& report) {
  report.breakdowns = 0;
  ops_->fill(element_, one_, 1.0, {});
  draw(system.w);
  for (int i = 0; i < columns_; ++i) make_column(system, i);
  if (options_.is_symmetric) {
    const std::size_t row = static_cast<std::size_t>(columns_ * spec_.batch);
    for (int i = 0; i < columns_; ++i)
      ops_->dots(spec_, stack_, columns_, stack_.at(i), {gram_.data() + static_cast<std::size_t>(i) * row, row}, {});
    ops_->dots(spec_, stack_, columns_, system.w, weights_, {});
  }
  for (int b = 0; b < spec_.batch; ++b) {
    const bool is_solved = solve_small(system.w, b);
    const auto sample = static_cast<std::size_t>(b);
    report.status[sample] = is_solved ? SolveStatus::max_steps : SolveStatus::stalled;
    report.best_step[sample] = is_solved ? columns_ : 0;
    report.steps[sample] = columns_;
    report.breakdowns += is_solved ? 0 : 1;
  }
  ops_->copy(spec_, system.w, u, {});
  ops_->combine(spec_, 1.0, weights_, stack_, columns_, u, {});
  residual_.measure(system, u, {}, {});
  report.map_calls = columns_ + 1;
  report.steps_run = columns_;
  for (std::size_t b = 0; b < norm2_.size(); ++b) {
    report.residual[b] = residual_.objective(b);
    if (residual_.norm(b) == 0.0) report.status[b] = SolveStatus::converged;
    if (!std::isfinite(report.residual[b])) report.status[b] = SolveStatus::nonfinite;
  }
}

}  // namespace deq
