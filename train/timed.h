#pragma once

#include <functional>
#include <vector>

namespace deq {

/// Milliseconds of `repeats` calls after one to warm up, sorted. Ends the command when it is interrupted.
std::vector<double> timed(int repeats, const std::function<void()>& call);

/// The middle one of sorted values, the upper one of an even number.
inline double median_of_sorted(const std::vector<double>& sorted) { return sorted[sorted.size() / 2]; }

}  // namespace deq
