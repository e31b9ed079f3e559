#include "train/smooth.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace deq {

std::vector<double> running_mean(std::span<const double> values, std::span<const int> group, int reach, bool is_log) {
  const int size = static_cast<int>(values.size());
  std::vector<double> out(values.size(), std::numeric_limits<double>::quiet_NaN());
  for (int i = 0; i < size; ++i) {
    if (!std::isfinite(values[i])) continue;
    double sum = 0;
    int count = 0;
    for (int k = std::max(0, i - reach); k <= std::min(size - 1, i + reach); ++k) {
      if (group[k] != group[i] || !std::isfinite(values[k])) continue;
      sum += is_log ? std::log(values[k]) : values[k];
      ++count;
    }
    out[i] = is_log ? std::exp(sum / count) : sum / count;
  }
  return out;
}

std::vector<std::size_t> thinned(std::span<const double> values, std::size_t most) {
  std::set<std::size_t> kept;
  const std::size_t stretch = std::max<std::size_t>(1, (3 * values.size() + most - 1) / std::max<std::size_t>(1, most));
  if (values.size() <= most || stretch <= 3) {
    std::vector<std::size_t> all(values.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    return all;
  }
  for (std::size_t begin = 0; begin < values.size(); begin += stretch) {
    const std::size_t end = std::min(begin + stretch, values.size());
    std::size_t low = begin;
    std::size_t high = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (values[i] < values[low] || !std::isfinite(values[low])) low = i;
      if (values[i] > values[high] || !std::isfinite(values[high])) high = i;
    }
    kept.insert({begin, low, high});
  }
  if (!values.empty()) kept.insert(values.size() - 1);
  return {kept.begin(), kept.end()};
}

}  // namespace deq
