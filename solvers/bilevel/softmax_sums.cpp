#include "solvers/bilevel/softmax_sums.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/cpu/parallel.h"
#include "core/error.h"

namespace deq {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kCost = 20;  // of an exponential, in additions

double weight_of(ConstVector weights, std::int64_t sample) { return weights.empty() ? 1 : weights[sample]; }

}  // namespace

SoftmaxSums::SoftmaxSums(Samples samples, int classes, const char* what)
    : samples_(std::move(samples)), classes_(classes) {
  const std::int64_t count = samples_.features.rows();
  check(classes >= 2, what, classes, " classes; at least 2");
  check(count >= 1 && samples_.features.columns() >= 1, what, "no samples; an empty split?");
  check(static_cast<std::int64_t>(samples_.labels.size()) == count, what, samples_.labels.size(), " labels for ", count,
        " samples");
  check(samples_.features.is_finite(), what, "the features hold values that are not finite");
  label_.reserve(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const double label = samples_.labels[i];
    check(label >= 0 && label < classes && label == std::floor(label), what, "label ", label, " of sample ", i,
          " (from 0); expected a class from 0 to ", classes - 1);
    label_.push_back(static_cast<std::int32_t>(label));
  }
  w_.resize(features() * classes_);
  probability_.resize(count * classes_);
  scratch_.resize(count * classes_);
  loss_.resize(count);
}

void SoftmaxSums::update(ConstVector w) {
  check(w.size() == w_.size(), "softmax", w.size(), " weights for ", features(), " features and ", classes_,
        " classes");
  if (is_set_ && std::memcmp(w.data(), w_.data(), w_.size() * sizeof(double)) == 0) return;
  std::ranges::copy(w, w_.begin());
  samples_.features.multiply_block(classes_, w_, probability_);
  cpu::parallel_blocks(samples(), kBlock, samples() * classes_ * kCost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::span row(&probability_[i * classes_], static_cast<std::size_t>(classes_));
      const double most = *std::ranges::max_element(row);
      const double at_label = row[label_[i]];
      double sum = 0;
      for (double& entry : row) sum += entry = std::exp(entry - most);
      for (double& entry : row) entry /= sum;
      loss_[i] = std::log(sum) + (most - at_label);
    }
  });
  is_set_ = true;
}

double SoftmaxSums::slope(std::int64_t sample, std::int64_t label_class) const {
  return probability_[sample * classes_ + label_class] - (label_class == label_[sample] ? 1 : 0);
}

double SoftmaxSums::weighted_sum(ConstVector weights) const {
  check(weights.empty() || weights.size() == loss_.size(), "softmax", weights.size(), " weights for ", loss_.size(),
        " samples");
  if (weights.empty()) return std::accumulate(loss_.begin(), loss_.end(), 0.0);
  return std::inner_product(loss_.begin(), loss_.end(), weights.begin(), 0.0);
}

double SoftmaxSums::value(ConstVector w, ConstVector weights) {
  update(w);
  return weighted_sum(weights);
}

double SoftmaxSums::gradient(ConstVector w, ConstVector weights, Vector out) {
  update(w);
  const double sum = weighted_sum(weights);
  cpu::parallel_blocks(samples(), kBlock, samples() * classes_, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double weight = weight_of(weights, i);
      for (std::int64_t k = 0; k < classes_; ++k) scratch_[i * classes_ + k] = weight * slope(i, k);
    }
  });
  samples_.features.multiply_block_transposed(classes_, scratch_, out);
  return sum;
}

void SoftmaxSums::hessian_product(ConstVector w, ConstVector weights, ConstVector v, Vector out) {
  update(w);
  samples_.features.multiply_block(classes_, v, scratch_);
  cpu::parallel_blocks(samples(), kBlock, samples() * classes_, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double* const p = &probability_[i * classes_];
      double* const row = &scratch_[i * classes_];
      const double mean = std::inner_product(p, p + classes_, row, 0.0);
      const double weight = weight_of(weights, i);
      for (std::int64_t k = 0; k < classes_; ++k) row[k] = weight * p[k] * (row[k] - mean);
    }
  });
  samples_.features.multiply_block_transposed(classes_, scratch_, out);
}

void SoftmaxSums::slopes_along(ConstVector w, ConstVector q, Vector out) {
  update(w);
  samples_.features.multiply_block(classes_, q, scratch_);
  for (std::int64_t i = 0; i < samples(); ++i) {
    double sum = 0;
    for (std::int64_t k = 0; k < classes_; ++k) sum += slope(i, k) * scratch_[i * classes_ + k];
    out[i] = sum;
  }
}

}  // namespace deq
