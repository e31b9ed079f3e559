#include "solvers/bilevel/l2_penalty.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/cpu/parallel.h"
#include "core/error.h"

namespace deq {
namespace {

/// Partial sums are over blocks of this many weights, whatever the number of threads.
constexpr std::int64_t kBlock = 8192;

std::int64_t count_groups(PenaltyGroups groups, std::int64_t weights, std::int64_t classes) {
  switch (groups) {
    case PenaltyGroups::shared: return 1;
    case PenaltyGroups::per_weight: return weights;
    case PenaltyGroups::per_class: return classes;
  }
  return 0;
}

/// body(begin, end, strength_of) on blocks of [0, n), where strength_of(j) costs no more than it must.
template <class Body>
void for_blocks(std::int64_t n, PenaltyGroups groups, std::int64_t classes, const double* strength, const Body& body) {
  cpu::parallel_blocks(n, kBlock, n, [&](std::int64_t begin, std::int64_t end) {
    switch (groups) {
      case PenaltyGroups::shared: body(begin, end, [s = strength[0]](std::int64_t) { return s; }); break;
      case PenaltyGroups::per_weight: body(begin, end, [=](std::int64_t j) { return strength[j]; }); break;
      case PenaltyGroups::per_class: body(begin, end, [=](std::int64_t j) { return strength[j % classes]; }); break;
    }
  });
}

}  // namespace

L2Penalty::L2Penalty(PenaltyGroups groups, std::int64_t weights, std::int64_t classes)
    : groups_(groups), weights_(weights), classes_(classes), size_(count_groups(groups, weights, classes)) {
  check(weights >= 1 && classes >= 1 && weights % classes == 0, "L2 penalty", weights, " weights for ", classes,
        " classes");
  strength_.resize(size_);
  partial_.resize((weights + kBlock - 1) / kBlock);
}

std::int64_t L2Penalty::group_of(std::int64_t weight) const {
  switch (groups_) {
    case PenaltyGroups::shared: return 0;
    case PenaltyGroups::per_weight: return weight;
    case PenaltyGroups::per_class: return weight % classes_;
  }
  return 0;
}

bool L2Penalty::set_strength(ConstVector lambda) {
  check(static_cast<std::int64_t>(lambda.size()) == size_, "L2 penalty", lambda.size(), " log-penalties; expected ",
        size_);
  std::ranges::transform(lambda, strength_.begin(), [](double log_strength) { return std::exp(log_strength); });
  return std::ranges::all_of(strength_, [](double strength) { return std::isfinite(strength); });
}

std::optional<double> L2Penalty::common_strength(ConstVector lambda) {
  if (size_ != 1 || !set_strength(lambda)) return std::nullopt;
  return strength_[0];
}

double L2Penalty::add_gradient(ConstVector w, ConstVector lambda, Vector gradient) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!set_strength(lambda)) {
    std::ranges::fill(gradient, kInfinity);
    return kInfinity;
  }
  for_blocks(weights_, groups_, classes_, strength_.data(), [&](std::int64_t begin, std::int64_t end, auto strength) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = begin; j < end; ++j) {
      const double slope = strength(j) * w[j];
      gradient[j] += slope;
      sum += slope * w[j];
    }
    partial_[begin / kBlock] = sum;
  });
  return 0.5 * std::accumulate(partial_.begin(), partial_.end(), 0.0);
}

void L2Penalty::add_product(ConstVector lambda, ConstVector v, Vector out) {
  if (!set_strength(lambda)) {
    std::ranges::fill(out, std::numeric_limits<double>::infinity());
    return;
  }
  for_blocks(weights_, groups_, classes_, strength_.data(), [&](std::int64_t begin, std::int64_t end, auto strength) {
#pragma omp simd
    for (std::int64_t j = begin; j < end; ++j) out[j] += strength(j) * v[j];
  });
}

void L2Penalty::cross_product(ConstVector w, ConstVector lambda, ConstVector q, Vector out) {
  if (!set_strength(lambda)) {
    std::ranges::fill(out, std::numeric_limits<double>::infinity());
    return;
  }
  if (groups_ == PenaltyGroups::per_weight) {
    for_blocks(weights_, groups_, classes_, strength_.data(), [&](std::int64_t begin, std::int64_t end, auto strength) {
#pragma omp simd
      for (std::int64_t j = begin; j < end; ++j) out[j] = strength(j) * w[j] * q[j];
    });
    return;
  }
  std::ranges::fill(out, 0.0);
  for (std::int64_t j = 0; j < weights_; ++j) out[group_of(j)] += w[j] * q[j];
  for (std::int64_t group = 0; group < size_; ++group) out[group] *= strength_[group];
}

void L2Penalty::diagonal(ConstVector lambda, Vector out) {
  set_strength(lambda);
  for_blocks(weights_, groups_, classes_, strength_.data(), [&](std::int64_t begin, std::int64_t end, auto strength) {
    for (std::int64_t j = begin; j < end; ++j) out[j] = strength(j);
  });
}

}  // namespace deq
