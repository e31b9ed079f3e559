#pragma once

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/cuda/channel_quad.h"
#include "core/cuda/lowering.h"
#include "core/cuda/unrolled.h"

// How group normalisation is cut where a cluster of blocks has a whole sample.

namespace deq::cuda {

/// How a sample is cut into quads of channels: thread t of all threads of its cluster has quads t, t + threads, ..., so
/// that every access is to neighbouring memory and each thread keeps to its channels.
struct GroupQuads {
  static constexpr int kMostThreads = 512;  ///< of a block
  static constexpr int kLeastThreads = 256;
  static constexpr int kMostRanks = 8;  ///< blocks of a cluster on every device that has clusters
  static constexpr int kMostGroups = kMostThreads / kWarp;
  /// Quads a thread has where the cluster may be as large as that takes; and at most.
  static constexpr Index kOwnQuads = 4, kMostOwnQuads = 12;

  Index samples = 1, rows = 1, channels = 1, groups = 1;
  int ranks = 1, threads = kLeastThreads;
  Index own = 1;  ///< quads of a thread

  /// The cut for [B,..,C], for `norms` (1 or 2) turns; depends on a sample alone, for the order of sums does. None
  /// where channels are no quads, or too many for a block, groups more than its warps, or a sample too large.
  static std::optional<GroupQuads> of(const Shape& shape, int groups, int norms, const BlockLimits& limits) {
    GroupQuads cut;
    cut.samples = narrow(shape[0]), cut.channels = narrow(shape[-1]), cut.groups = groups;
    cut.rows = narrow(shape.elements() / (shape[0] * shape[-1]));
    if (cut.channels % 4 != 0) return std::nullopt;
    const int unit = std::lcm(kWarp, cut.channels / 4);  // so that threads keep to channels
    if (unit > kMostThreads) return std::nullopt;
    for (cut.ranks = 1; cut.ranks <= (limits.has_clusters ? kMostRanks : 1); cut.ranks *= 2) {
      for (cut.threads = (kLeastThreads + unit - 1) / unit * unit; cut.threads <= kMostThreads; cut.threads += unit) {
        cut.own = (cut.quads() + cut.all_threads() - 1) / cut.all_threads();
        if (cut.own <= kOwnQuads) return cut.is_possible(norms, limits) ? std::optional(cut) : std::nullopt;
      }
    }
    cut.ranks = limits.has_clusters ? kMostRanks : 1;
    cut.threads = kMostThreads / unit * unit;
    cut.own = (cut.quads() + cut.all_threads() - 1) / cut.all_threads();
    return cut.is_possible(norms, limits) ? std::optional(cut) : std::nullopt;
  }
  [[nodiscard]] DEQ_HOST_DEVICE Index quads() const { return rows * (channels / 4); }
  [[nodiscard]] DEQ_HOST_DEVICE int all_threads() const { return ranks * threads; }
  /// Pixels of a sample that a block has at a time.
  [[nodiscard]] DEQ_HOST_DEVICE Index lines() const { return threads / (channels / 4); }
  /// Pixels of a sample that a block has in all.
  [[nodiscard]] DEQ_HOST_DEVICE Index pixels_of(int rank) const {
    Index count = 0;
    for (Index first = rank * lines(); first < rows; first += ranks * lines())
      count += rows - first < lines() ? rows - first : lines();
    return count;
  }

 private:
  [[nodiscard]] bool is_possible(int norms, const BlockLimits& limits) const;
};

/// Of the elements of a group that a block has.
struct GroupMoments {
  double count = 0, mean = 0, spread = 0;
};
struct GroupFactors {
  double mean, rstd;
};

/// Shared memory of a block whose threads have up to kQuads quads, for kNorms turns: sums of every thread's channels, a
/// value of every group to take them about, moments of every rank's groups by turn, factors of groups, and the quads
/// where registers have no room for them and those of a second block.
template <int kQuads, int kNorms>
struct QuadLayout {
  static constexpr bool kInShared = kQuads > 8;
  static constexpr Index kMostGroups = GroupQuads::kMostGroups;

  std::size_t references, moments, factors, quads, bytes;

  DEQ_HOST_DEVICE explicit QuadLayout(const GroupQuads& cut) {
    references = static_cast<std::size_t>(cut.threads) * 2 * sizeof(ChannelQuad);
    moments = references + kMostGroups * sizeof(float);
    factors = moments + kNorms * GroupQuads::kMostRanks * kMostGroups * sizeof(GroupMoments);
    quads = factors + kMostGroups * sizeof(GroupFactors);
    bytes = quads + (kInShared ? static_cast<std::size_t>(cut.threads) * kQuads * sizeof(ChannelQuad) : 0);
  }
  /// What `from` tells `rank` of its groups.
  template <class Block>
  DEQ_HOST_DEVICE GroupMoments* of_rank(const Block& block, int rank, int turn, int from) const {
    return block.template shared<GroupMoments>(rank, moments) + (turn * GroupQuads::kMostRanks + from) * kMostGroups;
  }
};

/// Calls `use` with the least number of quads that `own` fit in and that there are kernels for, as a constant.
template <class Use>
void with_quads(Index own, const Use& use) {
  if (own <= 1) return use(std::integral_constant<int, 1>{});
  if (own <= 2) return use(std::integral_constant<int, 2>{});
  if (own <= 4) return use(std::integral_constant<int, 4>{});
  if (own <= 6) return use(std::integral_constant<int, 6>{});
  if (own <= 8) return use(std::integral_constant<int, 8>{});
  return use(std::integral_constant<int, 12>{});
}

inline bool GroupQuads::is_possible(int norms, const BlockLimits& limits) const {
  if (own > kMostOwnQuads || groups > threads / kWarp) return false;
  std::size_t bytes = 0;
  with_quads(own, [&](auto count) {
    bytes = norms == 1 ? QuadLayout<count.value, 1>(*this).bytes : QuadLayout<count.value, 2>(*this).bytes;
  });
  return bytes <= limits.shared_bytes;
}

/// The cut for both norms of a pair.
inline std::optional<GroupQuads> quads_of(const GroupNormPair& pair, const Shape& shape, const BlockLimits& limits) {
  return GroupQuads::of(shape, std::max(pair.first.groups, pair.second.groups), /*norms=*/2, limits);
}

}  // namespace deq::cuda
