#include "data/label_map.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/error.h"

namespace deq {
namespace {

std::map<double, std::size_t> count_labels(std::span<const double> labels) {
  std::map<double, std::size_t> counts;
  for (const double label : labels) ++counts[label];
  return counts;
}

/// "1 (20 times), 2 (3 times), ..." of the first labels.
std::string listing_of(const std::map<double, std::size_t>& counts) {
  constexpr std::size_t kMostShown = 10;
  std::string out;
  std::size_t shown = 0;
  for (const auto& [label, count] : counts) {
    if (++shown > kMostShown) return concat(out, ", and ", counts.size() - kMostShown, " more");
    out += concat(shown > 1 ? ", " : "", label, " (", count, count == 1 ? " time)" : " times)");
  }
  return out.empty() ? "none" : out;
}

std::vector<double> keys_of(const std::map<double, std::size_t>& counts) {
  std::vector<double> keys;
  for (const auto& [label, count] : counts) keys.push_back(label);
  return keys;
}

}  // namespace

LabelMap LabelMap::binary(std::span<const double> labels, const std::string& set) {
  const auto counts = count_labels(labels);
  require(counts.size() == 2, set, "a binary task needs exactly two different labels, found ", counts.size(), ": ",
          listing_of(counts), "; choose a task of several classes, or split the labels around their mean");
  LabelMap map;
  map.known_ = keys_of(counts);
  map.becomes_ = {-1, 1};
  return map;
}

LabelMap LabelMap::around_mean(std::span<const double> labels, const std::string& set) {
  const auto counts = count_labels(labels);
  require(counts.size() >= 2, set, "all labels are the same: ", listing_of(counts), "; a task needs two classes");
  LabelMap map;
  map.mean_ = std::accumulate(labels.begin(), labels.end(), 0.0) / static_cast<double>(labels.size());
  return map;
}

LabelMap LabelMap::classes(std::span<const double> labels, const std::string& set) {
  const auto counts = count_labels(labels);
  require(counts.size() >= 2, set, "all labels are the same: ", listing_of(counts), "; a task needs two classes");
  LabelMap map;
  map.known_ = keys_of(counts);
  map.becomes_.resize(map.known_.size());
  std::iota(map.becomes_.begin(), map.becomes_.end(), 0.0);
  return map;
}

int LabelMap::class_count() const { return known_.empty() ? 2 : static_cast<int>(known_.size()); }

std::vector<double> LabelMap::apply(std::span<const double> labels, const std::string& part) const {
  std::vector<double> out;
  out.reserve(labels.size());
  for (const double label : labels) {
    if (known_.empty()) {
      out.push_back(label < mean_ ? -1 : 1);
      continue;
    }
    const auto found = std::ranges::lower_bound(known_, label);
    require(found != known_.end() && *found == label, part, "label ", label, " does not occur in the training part (",
            listing_of(count_labels(known_)), ")");
    out.push_back(becomes_[found - known_.begin()]);
  }
  return out;
}

}  // namespace deq
