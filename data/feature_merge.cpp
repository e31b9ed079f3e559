#include "data/feature_merge.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "core/error.h"

namespace deq {
namespace {

constexpr double kSameRatio = 1e-12;  // relative; above the rounding of entries divided by the norm of their row

/// Columns of the samples of both parts, those of the second numbered on.
struct Columns {
  explicit Columns(const TabularSet& set) : start(static_cast<std::size_t>(set.train.features.columns()) + 1) {
    const SparseMatrix* const parts[] = {&set.train.features, &set.test.features};
    for (const SparseMatrix* part : parts)
      for (const std::int32_t column : part->column()) ++start[column + 1];
    for (std::size_t j = 1; j < start.size(); ++j) start[j] += start[j - 1];
    row.resize(start.back());
    value.resize(start.back());
    std::vector<std::int64_t> next(start.begin(), start.end() - 1);
    std::int64_t above = 0;
    for (const SparseMatrix* part : parts) {
      for (std::int64_t i = 0; i < part->rows(); ++i) {
        for (std::int64_t k = part->row_start()[i]; k < part->row_start()[i + 1]; ++k) {
          const std::int64_t at = next[part->column()[k]]++;
          row[at] = above + i;
          value[at] = part->value()[k];
        }
      }
      above += part->rows();
    }
  }

  [[nodiscard]] std::int64_t length(std::int64_t j) const { return start[j + 1] - start[j]; }

  /// Of the rows in which column j has entries.
  [[nodiscard]] std::uint64_t hash(std::int64_t j) const {
    std::uint64_t sum = 0;
    for (std::int64_t k = start[j]; k < start[j + 1]; ++k)
      sum = (sum ^ static_cast<std::uint64_t>(row[k])) * 0x9E3779B97F4A7C15U + 1;
    return sum;
  }

  /// x_j / x_i where column j is that multiple of column i, both with entries; 0 where it is none.
  [[nodiscard]] double ratio(std::int64_t j, std::int64_t i) const {
    if (length(j) != length(i)) return 0.0;
    const double out = value[start[j]] / value[start[i]];
    if (!std::isfinite(out)) return 0.0;
    for (std::int64_t k = 0; k < length(j); ++k) {
      const double a = value[start[j] + k], b = out * value[start[i] + k];
      if (row[start[j] + k] != row[start[i] + k] || !(std::abs(a - b) <= kSameRatio * std::abs(a))) return 0.0;
    }
    return out;
  }

  std::vector<std::int64_t> start, row;
  std::vector<double> value;
};

}  // namespace

MergedFeatures merge_proportional_features(const TabularSet& set) {
  const Columns columns(set);
  const auto features = static_cast<std::int64_t>(columns.start.size()) - 1;
  MergedFeatures out{.set = set, .direction = {}, .share = std::vector<double>(features)};
  std::vector<std::int32_t> first;  // of each direction, its first feature
  std::vector<double> squared;      // and the sum of the squares of all ratios to it
  std::unordered_multimap<std::uint64_t, std::int32_t> found;
  for (std::int64_t j = 0; j < features; ++j) {
    out.direction.push_back(-1);
    if (columns.length(j) == 0) continue;
    const std::uint64_t hash = columns.hash(j);
    std::int32_t& direction = out.direction.back();
    double ratio = 1.0;
    const auto [begin, end] = found.equal_range(hash);
    for (auto at = begin; at != end && direction < 0; ++at) {
      ratio = columns.ratio(j, first[at->second]);
      if (ratio != 0.0) direction = at->second;
    }
    if (direction < 0) {
      direction = static_cast<std::int32_t>(first.size());
      ratio = 1.0;
      first.push_back(static_cast<std::int32_t>(j));
      squared.push_back(0.0);
      found.emplace(hash, direction);
    }
    out.share[j] = ratio;
    squared[direction] += ratio * ratio;
  }
  if (static_cast<std::int64_t>(first.size()) == features) return {.set = set, .direction = {}, .share = {}};
  for (double& norm : squared) norm = std::sqrt(norm);
  for (std::int64_t j = 0; j < features; ++j)
    if (out.direction[j] >= 0) out.share[j] /= squared[out.direction[j]];
  const auto width = static_cast<std::int64_t>(first.size()) + 1;
  for (SparseMatrix* part : {&out.set.train.features, &out.set.test.features})
    if (part->rows() > 0) *part = part->select_columns(first, squared).with_columns(width);
  return out;
}

std::vector<double> MergedFeatures::coordinates(std::span<const double> w) const {
  if (direction.empty()) return {w.begin(), w.end()};
  check(w.size() == direction.size(), "merged features", w.size(), " weights for ", direction.size(), " features");
  std::vector<double> out(static_cast<std::size_t>(set.train.features.columns()));
  for (std::size_t j = 0; j < w.size(); ++j)
    if (direction[j] >= 0) out[direction[j]] += share[j] * w[j];
  double unseen = 0.0;
  for (std::size_t j = 0; j < w.size(); ++j) {
    const double rest = direction[j] < 0 ? w[j] : w[j] - share[j] * out[direction[j]];
    unseen += rest * rest;
  }
  out.back() = std::sqrt(unseen);
  return out;
}

}  // namespace deq
