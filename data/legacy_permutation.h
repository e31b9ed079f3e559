#pragma once

#include <cstdint>
#include <vector>

namespace deq {

/// The permutation of 0 ... size - 1 that NumPy's `RandomState(seed).permutation(size)` makes: Fisher-Yates from the
/// end, each index by masked rejection of 32-bit words of MT19937. For data splits that others have published;
/// scikit-learn's `train_test_split` takes its test rows first and its training rows right after them.
/// @param size  1 ... 2^31 - 1
/// @throws Error otherwise
std::vector<std::int64_t> legacy_permutation(std::uint32_t seed, std::int64_t size);

}  // namespace deq
