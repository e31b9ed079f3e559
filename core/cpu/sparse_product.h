#pragma once

#include <cstdint>

namespace deq::cpu {

/// A matrix as compressed lines (rows of a CSR matrix, columns of a CSC one): line i holds `value[k]` at `index[k]` for
/// start[i] <= k < start[i + 1].
struct CompressedLines {
  std::int64_t count = 0;               ///< lines
  const std::int64_t* start = nullptr;  ///< [count + 1]
  const std::int32_t* index = nullptr;
  const double* value = nullptr;
  /// The values as small whole numbers, for a caller that knows the factor of each; null when there are none.
  const std::uint16_t* code = nullptr;
};

/// out [count, width] = the products of every line with `width` vectors at once, v [indices, width], overlapping
/// nothing. Lines are cut among the threads by entries; each is summed by one thread in one
/// order, so results do not depend on the number of threads. Allocates nothing. For one vector see SlicedLines.
void sparse_block_product(const CompressedLines& lines, std::int64_t width, const double* v, double* out);

}  // namespace deq::cpu
