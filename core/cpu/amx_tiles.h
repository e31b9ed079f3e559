#pragma once

#include <cstdint>

#include "core/cpu/bfloat16.h"

// Products of bf16 matrices in the tile registers of AMX. A tile is 16 rows of 64 bytes.

namespace deq::cpu {

inline constexpr std::int64_t kTileRows = 16;
inline constexpr std::int64_t kTileDepth = 32;    // bf16 in a row of a left operand
inline constexpr std::int64_t kTileColumns = 16;  // floats in a row of sums
inline constexpr std::int64_t kTileBlocks = 4;    // left operands that are multiplied with a right one at a time

/// True when this build has the instructions, the processor too, and the system lets the process use them.
[[nodiscard]] bool has_amx();

/// Sums of products of up to kTileBlocks left operands with one right one, all of the same extents. For the thread that
/// makes it, as long as it lives; where has_amx() alone.
class AmxTiles {
 public:
  /// Left operands and sums have `rows` <= kTileRows rows, sums `columns` <= kTileColumns floats.
  AmxTiles(std::int64_t rows, std::int64_t columns);
  ~AmxTiles();
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  struct Left {
    const Bfloat16* const* blocks;  ///< [count] first row of each
    std::int64_t row_stride;        ///< elements to the next row
    const std::int64_t* offsets;    ///< [steps] elements from the first row to the kTileDepth of a step
  };
  struct Sums {
    float* const* blocks;  ///< [count] first row of each
    std::int64_t row_stride;
  };
  /// sums[b] = sum over steps of left[b] * right; right: [steps][kTileDepth / 2][kTileColumns][2].
  void multiply(std::int64_t count, std::int64_t steps, const Left& left, const Bfloat16* right, const Sums& sums);
};

}  // namespace deq::cpu
