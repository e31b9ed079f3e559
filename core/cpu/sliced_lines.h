#pragma once

#include <cstdint>
#include <vector>

#include "core/cpu/sparse_product.h"

namespace deq::cpu {

/// Elements of a vector that 16 bits tell apart.
inline constexpr std::int64_t kSegment = std::int64_t{1} << 16U;

/// Entries of a sparse matrix in groups of kLanes, cut into slices. A slice holds kLanes lines of about one length side
/// by side (lane k: one entry of line k in every group), or one long line alone (is_wide: kLanes entries of it in every
/// group). Padding has value 0 and the index of an entry of its line, or of the slice where a lane has no line.
template <class Value, class Index>
struct Slices {
  static constexpr std::int64_t kLanes = 16;
  std::vector<std::int64_t> start = {0};  ///< [slices + 1], in groups
  std::vector<std::int32_t> line;         ///< [slices, kLanes], -1 for none
  std::vector<std::uint8_t> is_wide;      ///< [slices]
  std::vector<Value> value;               ///< [groups, kLanes]
  std::vector<Index> index;               ///< [groups, kLanes]
};

/// shift x[line] is added to the result of a line.
struct Shift {
  double shift = 0.0;
  const double* x = nullptr;  ///< [lines]; null for nothing to add
};

/// A sparse matrix laid out for products with one vector: sliced ELLPACK with lines sorted by length (M. Kreutzer et
/// al., SELL-C-sigma, SIAM J. Sci. Comput. 36, 2014). A step of the loop takes an entry of sixteen lines, so that no
/// sum across lanes and no end of a line has to be paid, which is half the time where lines hold a few entries or some
/// hundreds (word counts).
///
/// Small whole numbers (`code` of the lines) are kept in 1 byte beside 2 for the index, greater ones as several
/// entries; other values in 8 beside 4.
class SlicedLines {
 public:
  SlicedLines() = default;
  /// Whether bytes hold the codes without many more entries, and 16 bits the indices, which are below `width`.
  static bool can_pack(const CompressedLines& lines, std::int64_t width);
  /// @param lines  without `value` where `can_pack` says that the codes are enough
  /// @param width  of the vector: every index is below it
  SlicedLines(const CompressedLines& lines, std::int64_t width);

  /// Whether products are those of the codes, not of the values.
  [[nodiscard]] bool is_packed() const { return !packed_.empty(); }

  /// out[line] = scale[line] (sum of the line's values times v) + shift x[line], for every line. `out` overlaps
  /// nothing. Slices are cut among the threads; each line is summed in one order, so results do not depend on the
  /// number of threads. Allocates nothing.
  /// @param scale  [lines]; null for ones
  void multiply(const double* v, const double* scale, Shift shift, double* out) const;

 private:
  std::vector<Slices<std::uint8_t, std::uint16_t>> packed_;  ///< of each kSegment of the vector, with the lines it has
  Slices<double, std::int32_t> plain_;                       ///< instead of `packed_`
  std::vector<std::int32_t> empty_;                          ///< lines that the first slices do not have
  std::int64_t entries_ = 0;
};

}  // namespace deq::cpu
