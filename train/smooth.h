#pragma once

#include <span>
#include <vector>

namespace deq {

/// Mean of each value and its `reach` neighbours on both sides, fewer at the ends and never beyond a change of
/// `group`, so that a jump between two phases stays a jump. Values that are not finite count for nothing and stay
/// gaps. @param is_log  the mean of the logarithms (values are positive)
std::vector<double> running_mean(std::span<const double> values, std::span<const int> group, int reach, bool is_log);

/// Positions of at most about `most` of `values` that look the same drawn as a line: of each stretch its first, its
/// smallest and its largest value, and the last of all.
std::vector<std::size_t> thinned(std::span<const double> values, std::size_t most);

}  // namespace deq
