#include "solvers/pair_memory.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "solvers/symmetric_eigen.h"

namespace deq {
namespace {

// Directions of V (columns of unit length) with a smaller squared singular value are rounding.
constexpr double kLeastDirection = 1e-13;
// Pairs dropped at once: 1 of this many, so that reductions stay a small share of the work of large memories.
constexpr int kDroppedShare = 8;

}  // namespace

PairMemory::PairMemory(const StateSpec& spec, StateOps& ops, int capacity, bool is_limited, bool keeps_best)
    : spec_(spec),
      ops_(&ops),
      capacity_(capacity),
      is_limited_(is_limited),
      keeps_copy_(is_limited && keeps_best),
      sum_(spec, ops, capacity),
      best_(spec, ops, capacity) {
  require(!is_limited || capacity <= kMostReduced, "solver", "memory is ", capacity, " but at most ", kMostReduced,
          " pairs can be reduced; keep all of them (0) or restart");
  const auto batch = static_cast<std::size_t>(spec.batch);
  best_rank_.assign(batch, 0);
  is_saved_.assign(batch, 0);
  to_save_.assign(batch, 0);
  if (!is_limited) return;
  const auto n = static_cast<std::size_t>(capacity);
  gram_u_.assign(n * n * batch, 0.0);
  gram_v_ = mix_u_ = mix_v_ = gram_u_;
  a_.assign(n * n, 0.0);
  vectors_ = r_ = work_ = a_;
}

void PairMemory::layout(Slab& estimate) {
  sum_.layout(estimate);
  if (keeps_copy_) best_.layout(estimate);
}

void PairMemory::start() {
  sum_.restart({});
  best_.restart({});
  next_ = reductions_ = 0;
  std::fill(best_rank_.begin(), best_rank_.end(), 0);
  std::fill(is_saved_.begin(), is_saved_.end(), std::uint8_t{0});
}

int PairMemory::reserve(SampleMask learning, SampleMask improved) {
  if (next_ < capacity_) return next_;
  check(is_limited_, "solver", "more updates than its memory of ", capacity_, " pairs");
  if (keeps_copy_) save_best(learning, improved);
  reduce(learning);
  ++reductions_;
  return next_;
}

void PairMemory::commit(int slot, SampleMask learning) {
  next_ = slot + 1;
  for (std::size_t b = 0; b < learning.size(); ++b)
    if (learning[b] != 0) sum_.truncate(static_cast<int>(b), next_);
}

void PairMemory::mark_best(SampleMask learning, SampleMask improved) {
  for (std::size_t b = 0; b < learning.size(); ++b) {
    if (learning[b] == 0 || improved[b] == 0) continue;
    best_rank_[b] = sum_.rank()[b];
    is_saved_[b] = 0;
  }
}

void PairMemory::save_best(SampleMask learning, SampleMask improved) {
  int count = 0;
  for (std::size_t b = 0; b < learning.size(); ++b) {
    to_save_[b] = learning[b] != 0 && improved[b] == 0 && is_saved_[b] == 0 ? 1 : 0;
    if (to_save_[b] == 0) continue;
    is_saved_[b] = 1;
    count = std::max(count, best_rank_[b]);
  }
  copy_pairs(sum_, best_, count, to_save_);
}

void PairMemory::copy_pairs(const LowRankSum& from, const LowRankSum& to, int count, SampleMask samples) {
  for (int k = 0; k < count; ++k) {
    ops_->copy(spec_, from.u(k), to.u(k), samples);
    ops_->copy(spec_, from.v(k), to.v(k), samples);
  }
}

void PairMemory::cut_back(int sample) {
  const auto b = static_cast<std::size_t>(sample);
  if (is_saved_[b] != 0) {
    std::fill(to_save_.begin(), to_save_.end(), std::uint8_t{0});
    to_save_[b] = 1;
    copy_pairs(best_, sum_, best_rank_[b], to_save_);
  }
  sum_.truncate(sample, best_rank_[b]);
}

void PairMemory::measure(StateStack stack, std::vector<double>& gram, SampleMask learning) {
  const std::size_t row = static_cast<std::size_t>(capacity_) * static_cast<std::size_t>(spec_.batch);
  for (int k = 0; k < capacity_; ++k)
    ops_->dots(spec_, stack, capacity_, stack.at(k), std::span(gram).subspan(static_cast<std::size_t>(k) * row, row),
               learning);
}

void PairMemory::reduce(SampleMask learning) {
  measure(sum_.u_stack(), gram_u_, learning);
  measure(sum_.v_stack(), gram_v_, learning);
  for (int b = 0; b < spec_.batch; ++b)
    if (learning[static_cast<std::size_t>(b)] != 0) find_transforms(b);
  next_ = capacity_ - std::max(1, capacity_ / kDroppedShare);
  ops_->recombine(spec_, sum_.u_stack(), capacity_, next_, mix_u_, learning);
  ops_->recombine(spec_, sum_.v_stack(), capacity_, next_, mix_v_, learning);
  for (std::size_t b = 0; b < learning.size(); ++b)
    if (learning[b] != 0) sum_.truncate(static_cast<int>(b), next_);
}

// With V = Q R (R = D^1/2 P^T from the eigenvectors P of V^T V) the singular triplets of U V^T are those of U R^T:
// R (U^T U) R^T = W S^2 W^T gives the new pairs U R^T w_j and V R^+ w_j, largest first.
void PairMemory::find_transforms(int sample) {
  const int n = capacity_;
  const auto at = [n](int i, int j) { return static_cast<std::size_t>(i * n + j); };
  const auto per_sample = [&](int i, int j) {
    return at(i, j) * static_cast<std::size_t>(spec_.batch) + static_cast<std::size_t>(sample);
  };
  const auto length = [&](int k) {  // of v_k; its direction is what counts
    const double norm2 = gram_v_[per_sample(k, k)];
    return norm2 > 0.0 ? std::sqrt(norm2) : 1.0;
  };
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) a_[at(i, j)] = gram_v_[per_sample(i, j)] / (length(i) * length(j));
  symmetric_eigen(n, a_, vectors_);
  double largest = 0.0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, a_[at(i, i)]);
  std::vector<double>& inverse = work_;  // R^+ transposed: row i is P_i / sqrt(d_i)
  for (int i = 0; i < n; ++i) {
    const double root = a_[at(i, i)] > kLeastDirection * largest ? std::sqrt(a_[at(i, i)]) : 0.0;
    for (int k = 0; k < n; ++k) {
      r_[at(i, k)] = root * vectors_[at(k, i)] * length(k);
      inverse[at(i, k)] = root > 0.0 ? vectors_[at(k, i)] / (root * length(k)) : 0.0;
    }
  }
  for (int i = 0; i < n; ++i)
    for (int j = 0; j <= i; ++j) {
      double sum = 0.0;
      for (int k = 0; k < n; ++k)
        for (int l = 0; l < n; ++l) sum += r_[at(i, k)] * gram_u_[per_sample(k, l)] * r_[at(j, l)];
      a_[at(i, j)] = a_[at(j, i)] = sum;
    }
  symmetric_eigen(n, a_, vectors_);
  for (int j = 0; j < n; ++j) {
    int place = 0;  // of eigenvalue j when the largest comes first
    for (int k = 0; k < n; ++k) {
      const double difference = a_[at(k, k)] - a_[at(j, j)];
      if (difference > 0.0 || (difference == 0.0 && k < j)) ++place;
    }
    for (int k = 0; k < n; ++k) {
      double u = 0.0, v = 0.0;
      for (int i = 0; i < n; ++i) {
        u += r_[at(i, k)] * vectors_[at(i, j)];
        v += inverse[at(i, k)] * vectors_[at(i, j)];
      }
      mix_u_[per_sample(place, k)] = u;
      mix_v_[per_sample(place, k)] = v;
    }
  }
}

}  // namespace deq
