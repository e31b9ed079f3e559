#include "solvers/spectral_radius.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "solvers/eigenvalues.h"
#include "solvers/slab.h"

namespace deq {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// What is left of a vector after orthogonalisation counts as zero below this share: rounding of the state's type.
double breakdown_of(DType dtype) { return dtype == DType::f64 ? 1e-14 : 1e-7; }

}  // namespace

SpectralRadius::SpectralRadius(const StateSpec& spec, StateOps& ops, int steps) : spec_(spec), ops_(&ops) {
  check(spec.batch >= 1 && spec.sample_elems() >= 1, "spectral_radius", "the state is empty (batch ", spec.batch, ", ",
        spec.sample_elems(), " elements a sample)");
  check(steps >= 1, "spectral_radius", steps, " steps, expected at least 1");
  steps_ = static_cast<int>(std::min<std::int64_t>(steps, spec.sample_elems()));
  const auto batch = static_cast<std::size_t>(spec.batch), m = static_cast<std::size_t>(steps_);
  hessenberg_.resize(batch * (m + 1) * m);
  coefficient_.resize((m + 1) * batch);
  for (std::vector<double>* values : {&norm_, &norm_before_, &radius_, &change_}) values->resize(batch);
  dimension_.resize(batch);
  active_.resize(batch);
  Slab slab;
  (void)slab.take(spec_, steps_ + 1);
  workspace_bytes_ = slab.used_bytes();
}

void SpectralRadius::bind(void* workspace) { basis_ = Slab(workspace).take(spec_, steps_ + 1); }

double& SpectralRadius::entry(int sample, int row, int column) {
  return hessenberg_[static_cast<std::size_t>((sample * (steps_ + 1) + row) * steps_ + column)];
}

void SpectralRadius::measure_norm(int index, std::vector<double>& norm) {
  ops_->dots(spec_, single(basis_.at(index)), 1, basis_.at(index), norm, active_);
  for (double& value : norm) value = std::sqrt(std::max(value, 0.0));
}

void SpectralRadius::orthogonalise(int index) {
  const auto batch = static_cast<std::size_t>(spec_.batch);
  const std::span<double> dots(coefficient_.data(), static_cast<std::size_t>(index) * batch);
  // Twice is enough: the second pass removes what rounding of the first left.
  for (int pass = 0; pass < 2; ++pass) {
    ops_->dots(spec_, basis_, index, basis_.at(index), dots, active_);
    for (std::size_t b = 0; b < batch; ++b) {
      if (active_[b] == 0) continue;
      for (int k = 0; k < index; ++k) {
        double& dot = dots[static_cast<std::size_t>(k) * batch + b];
        entry(static_cast<int>(b), k, index - 1) += dot;
        dot = -dot;
      }
    }
    ops_->combine(spec_, 1.0, dots, basis_, index, basis_.at(index), active_);
  }
}

void SpectralRadius::normalise(int index) {
  measure_norm(index, norm_);
  const double breakdown = breakdown_of(spec_.dtype);
  for (std::size_t b = 0; b < active_.size(); ++b) {
    if (active_[b] == 0) continue;
    if (index > 0) entry(static_cast<int>(b), index, index - 1) = norm_[b];
    const bool is_usable = std::isfinite(norm_[b]) && norm_[b] > breakdown * norm_before_[b];
    if (!is_usable) active_[b] = 0;
    coefficient_[b] = is_usable ? 1.0 / norm_[b] : 0.0;
  }
  ops_->combine(spec_, 0.0, std::span(coefficient_).first(active_.size()), single(basis_.at(index)), 1,
                basis_.at(index), active_);
}

void SpectralRadius::run(FixedPointMap& linear, StateView start) {
  std::fill(hessenberg_.begin(), hessenberg_.end(), 0.0);
  std::fill(dimension_.begin(), dimension_.end(), 0);
  std::fill(active_.begin(), active_.end(), std::uint8_t{1});
  std::fill(norm_before_.begin(), norm_before_.end(), 0.0);
  map_calls_ = 0;
  ops_->copy(spec_, start, basis_.at(0), {});
  normalise(0);
  const auto is_active = [](std::uint8_t on) { return on != 0; };
  // A sample that has stopped keeps its last input: its rows stay finite and are not looked at.
  ops_->copy(spec_, basis_.at(0), linear.input(), {});
  for (int step = 0; step < steps_ && std::any_of(active_.begin(), active_.end(), is_active); ++step) {
    ops_->copy(spec_, basis_.at(step), linear.input(), active_);
    linear.replay();
    ++map_calls_;
    for (std::size_t b = 0; b < active_.size(); ++b)
      if (active_[b] != 0) dimension_[b] = step + 1;
    ops_->copy(spec_, linear.output(), basis_.at(step + 1), active_);
    measure_norm(step + 1, norm_before_);
    orthogonalise(step + 1);
    normalise(step + 1);
  }
  for (int b = 0; b < spec_.batch; ++b) {
    const int dimension = dimension_[static_cast<std::size_t>(b)];
    const double radius = radius_of(b, dimension);
    radius_[static_cast<std::size_t>(b)] = radius;
    change_[static_cast<std::size_t>(b)] = std::abs(radius - radius_of(b, dimension - dimension / 4));
  }
}

double SpectralRadius::radius_of(int sample, int dimension) const {
  if (dimension == 0) return kUnknown;
  const auto n = static_cast<std::size_t>(dimension), m = static_cast<std::size_t>(steps_);
  std::vector<double> h(n * n);
  const std::size_t first = static_cast<std::size_t>(sample) * (m + 1) * m;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) h[i * n + j] = hessenberg_[first + i * m + j];
  const std::vector<std::complex<double>> eigenvalues = hessenberg_eigenvalues(h, dimension);
  if (eigenvalues.empty()) return kUnknown;
  double radius = 0;
  for (const std::complex<double>& value : eigenvalues) radius = std::max(radius, std::abs(value));
  return radius;
}

}  // namespace deq
