#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

// Launch geometry: plain functions of sizes, the same on every machine.

namespace deq::cuda {

/// Kernels count elements in 32 bits, for 64-bit divisions cost several times more on a GPU. Larger tensors are refused
/// when a program is compiled.
using Index = std::int32_t;
inline constexpr std::int64_t kMostElements = INT32_MAX;

inline constexpr int kWarp = 32;
/// Most threads of a block on every architecture.
inline constexpr int kMostThreads = 1024;
/// Dynamic shared memory that needs no opt-in (48 KiB, less what reductions keep).
inline constexpr int kSharedBytes = 40 * 1024;
/// Shared memory a block may opt in to on every architecture we build for (8.6 and 8.9 have the least: 99 KiB).
inline constexpr int kMostSharedBytes = 96 * 1024;

/// What a device has room for.
struct BlockLimits {
  bool has_clusters = false;                    ///< of blocks; from compute capability 9.0 on
  std::size_t shared_bytes = kMostSharedBytes;  ///< shared memory that a block may opt in to
};

/// Blocks and threads of a launch.
struct LaunchShape {
  unsigned blocks = 1;
  unsigned threads = 1;
  bool operator==(const LaunchShape&) const = default;
};

/// One thread an element, as long as the grid stays below 2^20 blocks; threads walk over the rest with grid strides.
constexpr LaunchShape shape_for_each(std::int64_t n) {
  constexpr std::int64_t kThreads = 256, kMostBlocks = std::int64_t{1} << 20;
  return {static_cast<unsigned>(std::clamp<std::int64_t>((n + kThreads - 1) / kThreads, 1, kMostBlocks)), kThreads};
}

/// `n` rounded up to whole warps, at most kMostThreads.
constexpr int whole_warps(std::int64_t n) {
  const std::int64_t rounded = (std::max<std::int64_t>(n, 1) + kWarp - 1) / kWarp * kWarp;
  return static_cast<int>(std::min<std::int64_t>(rounded, kMostThreads));
}

/// Into how many pieces each of `rows` independent rows of `elements` elements is cut, so that a GPU of any size has
/// blocks to run: at least 4 Ki elements a piece, at most `most` pieces, about 512 blocks over all rows.
constexpr int pieces_of(std::int64_t rows, std::int64_t elements, int most) {
  constexpr std::int64_t kPieceElements = 4096, kBlocks = 512;
  const std::int64_t by_size = (elements + kPieceElements - 1) / kPieceElements;
  const std::int64_t by_blocks = (kBlocks + rows - 1) / std::max<std::int64_t>(rows, 1);
  return static_cast<int>(std::clamp<std::int64_t>(std::min(by_size, by_blocks), 1, most));
}

}  // namespace deq::cuda
