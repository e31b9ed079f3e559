#pragma once

#include <cstdint>
#include <vector>

namespace deq {

/// Gives round(fraction * labels) of the class labels 0 ... `classes` - 1, chosen at random, another class at random.
/// @returns for each label whether it was changed
/// Errors: Error when `fraction` is not in [0, 1] or `classes` < 2.
std::vector<bool> corrupt_labels(std::vector<double>& labels, double fraction, int classes, std::uint32_t seed);

}  // namespace deq
