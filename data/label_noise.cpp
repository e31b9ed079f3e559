#include "data/label_noise.h"

#include <cmath>

#include "core/error.h"
#include "data/legacy_permutation.h"
#include "data/random.h"

namespace deq {

std::vector<bool> corrupt_labels(std::vector<double>& labels, double fraction, int classes, std::uint32_t seed) {
  check(0 <= fraction && fraction <= 1, "label noise", "a fraction of ", fraction, "; expected 0 to 1");
  if (labels.empty()) return {};
  check(classes >= 2, "label noise", classes, " classes; at least 2");
  const auto count = static_cast<std::int64_t>(labels.size());
  const auto changed = std::lround(fraction * static_cast<double>(count));
  const auto order = legacy_permutation(seed, count);
  std::vector<bool> is_changed(labels.size());
  for (std::int64_t i = 0; i < changed; ++i) {
    const std::int64_t at = order[i];
    KeyedRandom random(seed, 1, static_cast<std::uint64_t>(at));
    labels[at] = (static_cast<int>(labels[at]) + 1 + random.below(classes - 1)) % classes;
    is_changed[at] = true;
  }
  return is_changed;
}

}  // namespace deq
