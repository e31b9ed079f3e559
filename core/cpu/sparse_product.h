#pragma once

#include <cstdint>

namespace deq::cpu {

/// A matrix as compressed lines (rows of a CSR matrix, columns of a CSC one): line i holds `value[k]` at `index[k]` for
/// start[i] <= k < start[i + 1].
///
/// Where the values of a line are small whole numbers times one number (word counts, flags, rows divided by their
/// norm), `code` holds the whole numbers and `scale` the rest: 6 or 4 bytes an entry instead of 12, and products that
/// run at the speed of memory take half the time.
struct CompressedLines {
  std::int64_t count = 0;               ///< lines
  const std::int64_t* start = nullptr;  ///< [count + 1]
  const std::int32_t* index = nullptr;
  const double* value = nullptr;
  const std::int32_t* place = nullptr;  ///< [count], where the result of each line goes; null for line i -> i
  const std::uint16_t* code = nullptr;  ///< instead of `value`; null when there is none
  const double* scale = nullptr;        ///< [count], of the codes of a line; null for ones
  /// Instead of `index`, beside `code`; null when there is none. Entry k of segment s of a line is at kSegment s +
  /// short_index[k], for segment_start[line segments + s] <= k < segment_start[line segments + s + 1].
  const std::uint16_t* short_index = nullptr;
  const std::int64_t* segment_start = nullptr;  ///< [count segments + 1]
  std::int64_t segments = 1;
};

/// Indices that 16 bits tell apart.
inline constexpr std::int64_t kSegment = std::int64_t{1} << 16U;

/// out[place(i)] = sum_k value[k] v[index[k]] for every line, `out` [count], overlapping nothing. Lines are cut among
/// the threads by entries; each is summed by one thread in one order, so results do not depend on the number of
/// threads. Allocates nothing.
void sparse_product(const CompressedLines& lines, const double* v, double* out);

/// The same for `width` vectors at once, from `index` and `value`: v [indices, width], out [count, width].
void sparse_block_product(const CompressedLines& lines, std::int64_t width, const double* v, double* out);

}  // namespace deq::cpu
