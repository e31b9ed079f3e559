#include "solvers/newton_krylov.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace deq {
namespace {

constexpr double kExhausted = 1e-14;  // a new direction shorter than this share of (I - J) v lies in the space already

std::size_t sized(int n, int m, int batch) {
  return static_cast<std::size_t>(n) * static_cast<std::size_t>(m) * static_cast<std::size_t>(batch);
}

}  // namespace

NewtonKrylovMethod::NewtonKrylovMethod(const StateSpec& spec, StateOps& ops, const NewtonKrylov& options)
    : spec_(spec), ops_(&ops), options_(options), estimate_(spec, ops), one_(sized(1, 1, spec.batch), 1.0) {
  const int inner = options.inner_steps;
  require(inner >= 1 && inner <= 1000, "newton_krylov", "inner_steps is ", inner, " but must be 1 to 1000");
  require(options.forcing >= 0.0 && options.forcing < 1.0, "newton_krylov", "forcing is ", options.forcing,
          " but must be in [0, 1)");
  working_.assign(sized(1, 1, spec.batch), 0);
  columns_.assign(sized(1, 1, spec.batch), 0);
  h_.assign(sized(inner, inner + 1, spec.batch), 0.0);
  cosine_.assign(sized(inner, 1, spec.batch), 0.0);
  sine_ = cosine_;
  right_.assign(sized(inner + 1, 1, spec.batch), 0.0);
  dots_ = right_;
  first_norm_.assign(sized(1, 1, spec.batch), 0.0);
  scale_ = first_norm_;
}

void NewtonKrylovMethod::layout(Slab& workspace, Slab&) { basis_ = workspace.take(spec_, options_.inner_steps + 1); }

double& NewtonKrylovMethod::hessenberg(int i, int j, std::size_t b) {
  const int row = j * (options_.inner_steps + 1) + i;
  return h_[static_cast<std::size_t>(row) * static_cast<std::size_t>(spec_.batch) + b];
}

void NewtonKrylovMethod::begin(const Iterate& iterate) {
  check(iterate.map->pushforward() != nullptr, "newton_krylov", "the map offers no products with its J");
  std::fill(right_.begin(), right_.end(), 0.0);
  ops_->dots(spec_, basis_, 1, basis_.at(0), first_norm_, iterate.advancing);
  for (std::size_t b = 0; b < working_.size(); ++b) {
    columns_[b] = 0;
    working_[b] = iterate.advancing[b];
    if (working_[b] == 0) continue;
    first_norm_[b] = std::sqrt(first_norm_[b]);
    right_[b] = first_norm_[b];
    if (!(first_norm_[b] > 0.0)) working_[b] = 0;
    scale_[b] = working_[b] != 0 ? 1.0 / first_norm_[b] : 0.0;
  }
  ops_->combine(spec_, 0.0, scale_, basis_, 1, basis_.at(0), working_);
}

bool NewtonKrylovMethod::expand(const Iterate& iterate, int j) {
  FixedPointMap& pushforward = *iterate.map->pushforward();
  const auto batch = static_cast<std::size_t>(spec_.batch);
  ops_->copy(spec_, basis_.at(j), pushforward.input(), working_);
  pushforward.replay();
  ++jacobian_products_;
  const StateView w = basis_.at(j + 1);
  ops_->copy(spec_, pushforward.output(), w, working_);
  ops_->combine(spec_, -1.0, one_, single(basis_.at(j)), 1, w, working_);  // v - J v
  ops_->dots(spec_, single(w), 1, w, scale_, working_);
  const std::vector<double>& whole = scale_;
  for (std::size_t b = 0; b < batch; ++b)
    if (working_[b] != 0) hessenberg(j + 1, j, b) = whole[b];
  for (int pass = 0; pass < 2; ++pass) {  // the second pass removes what rounding left of the first
    ops_->dots(spec_, basis_, j + 1, w, dots_, working_);
    for (std::size_t i = 0; i < static_cast<std::size_t>(j + 1) * batch; ++i) dots_[i] = -dots_[i];
    ops_->combine(spec_, 1.0, dots_, basis_, j + 1, w, working_);
    for (std::size_t b = 0; b < batch; ++b)
      for (int i = 0; working_[b] != 0 && i <= j; ++i)
        hessenberg(i, j, b) = (pass == 0 ? 0.0 : hessenberg(i, j, b)) - dots_[static_cast<std::size_t>(i) * batch + b];
  }
  ops_->dots(spec_, single(w), 1, w, dots_, working_);
  for (std::size_t b = 0; b < batch; ++b) {
    if (working_[b] == 0) continue;
    const double product = std::sqrt(hessenberg(j + 1, j, b));
    const double length = std::sqrt(dots_[b]);
    const bool is_exhausted = !(length > kExhausted * product);
    hessenberg(j + 1, j, b) = is_exhausted ? 0.0 : length;
    scale_[b] = is_exhausted ? 0.0 : 1.0 / length;
    columns_[b] = j + 1;
    if (!rotate(j, b)) working_[b] = 0;
  }
  ops_->combine(spec_, 0.0, scale_, single(w), 1, w, working_);
  return std::any_of(working_.begin(), working_.end(), [](auto on) { return on != 0; });
}

bool NewtonKrylovMethod::rotate(int j, std::size_t b) {
  const auto batch = static_cast<std::size_t>(spec_.batch);
  const auto at = [&](int i) { return static_cast<std::size_t>(i) * batch + b; };
  for (int i = 0; i < j; ++i) {
    const double upper = hessenberg(i, j, b), lower = hessenberg(i + 1, j, b);
    hessenberg(i, j, b) = cosine_[at(i)] * upper + sine_[at(i)] * lower;
    hessenberg(i + 1, j, b) = cosine_[at(i)] * lower - sine_[at(i)] * upper;
  }
  const double upper = hessenberg(j, j, b), lower = hessenberg(j + 1, j, b);
  const double length = std::hypot(upper, lower);
  if (!(length > 0.0) || !std::isfinite(length)) {  // a singular or nonfinite column adds nothing
    columns_[b] = j;
    return false;
  }
  cosine_[at(j)] = upper / length;
  sine_[at(j)] = lower / length;
  hessenberg(j, j, b) = length;
  right_[at(j + 1)] = -sine_[at(j)] * right_[at(j)];
  right_[at(j)] *= cosine_[at(j)];
  return lower != 0.0 && std::abs(right_[at(j + 1)]) > options_.forcing * first_norm_[b];
}

void NewtonKrylovMethod::solve_triangle(std::size_t b) {
  const auto batch = static_cast<std::size_t>(spec_.batch);
  const int n = columns_[b];
  for (int i = 0; i < options_.inner_steps + 1; ++i) {
    const std::size_t at = static_cast<std::size_t>(i) * batch + b;
    if (i >= n) right_[at] = 0.0;
  }
  for (int i = n - 1; i >= 0; --i) {
    double& y = right_[static_cast<std::size_t>(i) * batch + b];
    for (int j = i + 1; j < n; ++j) y -= hessenberg(i, j, b) * right_[static_cast<std::size_t>(j) * batch + b];
    y /= hessenberg(i, i, b);
  }
}

int NewtonKrylovMethod::advance(const Iterate& iterate) {
  begin(iterate);
  const bool any = std::any_of(working_.begin(), working_.end(), [](auto on) { return on != 0; });
  for (int j = 0; any && j < options_.inner_steps; ++j)
    if (!expand(iterate, j)) break;
  int skipped = 0;
  for (std::size_t b = 0; b < working_.size(); ++b) {
    if (iterate.advancing[b] == 0) continue;
    skipped += columns_[b] == 0 && first_norm_[b] > 0.0 ? 1 : 0;
    solve_triangle(b);
  }
  ops_->combine(spec_, 1.0, right_, basis_, options_.inner_steps, iterate.z, iterate.advancing);
  return skipped;
}

}  // namespace deq
