#include "solvers/bilevel/margin_sums.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/cpu/parallel.h"
#include "core/error.h"
#include "solvers/bilevel/vector_ops.h"

namespace deq {
namespace {

/// Samples of one piece of work; an exponential and a logarithm each are worth some 20 additions.
constexpr std::int64_t kBlock = 1024;
constexpr std::int64_t kCost = 20;

}  // namespace

MarginSums::MarginSums(Samples samples, const char* what) : samples_(std::move(samples)) {
  const std::int64_t count = samples_.features.rows();
  check(count >= 1 && samples_.features.columns() >= 1, what, "no samples; an empty split?");
  check(static_cast<std::int64_t>(samples_.labels.size()) == count, what, samples_.labels.size(), " labels for ", count,
        " samples");
  for (std::int64_t i = 0; i < count; ++i)
    check(std::abs(samples_.labels[i]) == 1, what, "label ", samples_.labels[i], " of sample ", i,
          " (from 0); expected -1 or +1");
  check(samples_.features.is_finite(), what, "the features hold values that are not finite");
  samples_.features.prepare();
  w_.resize(samples_.features.columns());
  terms_.resize(count);
  scratch_.resize(count);
}

void MarginSums::update(const MarginLoss& loss, ConstVector w) {
  check(w.size() == w_.size(), "margins", w.size(), " weights for ", w_.size(), " features");
  if (is_set_ && is_same(w, w_)) return;
  copy(w, w_);
  samples_.features.multiply(w_, scratch_);
  const std::int64_t count = samples();
  cpu::parallel_blocks(count, kBlock, count * kCost, [&](std::int64_t begin, std::int64_t end) {
    const auto part = static_cast<std::size_t>(end - begin);
    loss.evaluate({&scratch_[begin], part}, {&samples_.labels[begin], part}, {&terms_[begin], part});
  });
  sum_ = 0;
  for (const MarginTerm& term : terms_) sum_ += term.value;
  is_set_ = true;
  ++margin_evaluations_;
}

double MarginSums::value(const MarginLoss& loss, ConstVector w) {
  update(loss, w);
  return sum_;
}

double MarginSums::gradient(const MarginLoss& loss, ConstVector w, double shift, Vector out) {
  update(loss, w);
  std::ranges::transform(terms_, scratch_.begin(), &MarginTerm::slope);
  samples_.features.multiply_transposed(scratch_, shift, shift == 0.0 ? ConstVector{} : w, out);
  return sum_;
}

void MarginSums::hessian_product(const MarginLoss& loss, ConstVector w, ConstVector v, double shift, Vector out) {
  update(loss, w);
  samples_.features.multiply(v, scratch_);
  cpu::parallel_blocks(samples(), kBlock, samples(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) scratch_[i] *= terms_[i].curvature;
  });
  samples_.features.multiply_transposed(scratch_, shift, shift == 0.0 ? ConstVector{} : v, out);
}

}  // namespace deq
