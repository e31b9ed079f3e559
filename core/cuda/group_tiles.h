#pragma once

#include <algorithm>
#include <optional>

#include "core/cuda/lowering.h"
#include "core/cuda/sums.h"

// How group normalisation in one launch is cut into blocks and threads.

namespace deq::cuda {

/// How samples are cut into blocks.
struct GroupTiles {
  static constexpr int kMostThreads = 512;
  /// Neighbouring channels a block has at least, where there are as many groups: 32 bytes are read at once.
  static constexpr Index kLeastChannels = 8;

  Index samples = 1, rows = 1, channels = 1, groups = 1;
  Index own_groups = 1, lanes = 1, lines = 1;  ///< groups, channels and rows at a time of a block

  /// None where blocks would have more channels than threads.
  static std::optional<GroupTiles> of(const Shape& shape, int groups) {
    GroupTiles cut;
    cut.samples = narrow(shape[0]), cut.channels = narrow(shape[-1]), cut.groups = groups;
    cut.rows = narrow(shape.elements() / (shape[0] * shape[-1]));
    while (cut.own_groups < 8 && cut.own_groups * cut.width() < kLeastChannels && groups % (2 * cut.own_groups) == 0)
      cut.own_groups *= 2;
    cut.lanes = cut.own_groups * cut.width();
    if (cut.lanes > kMostThreads) return std::nullopt;
    cut.lines = std::min(kMostThreads / cut.lanes, cut.rows);
    return cut;
  }
  [[nodiscard]] DEQ_HOST_DEVICE Index width() const { return channels / groups; }
  [[nodiscard]] DEQ_HOST_DEVICE Index blocks_a_sample() const { return groups / own_groups; }
  [[nodiscard]] std::int64_t blocks() const { return std::int64_t{samples} * blocks_a_sample(); }
  [[nodiscard]] int threads() const { return whole_warps(std::int64_t{lanes} * lines); }
  /// What a block normalises, by thread.
  [[nodiscard]] std::size_t kept_bytes() const {
    return static_cast<std::size_t>((rows + lines - 1) / lines) * static_cast<std::size_t>(threads()) * sizeof(float);
  }
};

/// A thread's part of a block's elements.
struct GroupLane {
  Index sample, channel, line, group;  ///< group: of the block's
  bool is_idle;

  DEQ_HOST_DEVICE GroupLane(const GroupTiles& cut, Index block, int thread) {
    const Index lane = thread % cut.lanes;
    sample = block / cut.blocks_a_sample();
    channel = (block - sample * cut.blocks_a_sample()) * cut.lanes + lane;
    line = thread / cut.lanes;
    group = lane / cut.width();
    is_idle = line >= cut.lines;
  }
  /// use(offset, load(offset), k) for the k-th of the thread's elements, loading several before using them.
  template <class Load, class Use>
  DEQ_HOST_DEVICE void walk(const GroupTiles& cut, const Load& load, const Use& use) const {
    constexpr int kInFlight = 8;
    if (is_idle) return;
    const Index step = cut.lines * cut.channels;
    Index i = (sample * cut.rows + line) * cut.channels + channel, k = 0, row = line;
    for (; row < cut.rows - (kInFlight - 1) * cut.lines; row += kInFlight * cut.lines) {
      decltype(load(i)) values[kInFlight];
      for (int ahead = 0; ahead < kInFlight; ++ahead) values[ahead] = load(i + ahead * step);
      for (int ahead = 0; ahead < kInFlight; ++ahead) use(i + ahead * step, values[ahead], k + ahead);
      i += kInFlight * step, k += kInFlight;
    }
    for (; row < cut.rows; row += cut.lines, i += step, ++k) use(i, load(i), k);
  }
  /// `own` as the sum of the lane's group and 0 as that of the others.
  template <int kGroups>
  DEQ_HOST_DEVICE Sums<kGroups> of_group(float own) const {
    Sums<kGroups> sums;
    for (int g = 0; g < kGroups; ++g) sums.at[g] = g == group ? static_cast<double>(own) : 0.0;
    return sums;
  }
  template <int kCount>
  [[nodiscard]] DEQ_HOST_DEVICE static double pick(const Sums<kCount>& sums, Index at) {
    double out = 0;
    for (int i = 0; i < kCount; ++i) out = i == at ? sums.at[i] : out;
    return out;
  }
};

/// Calls `use` with the number of groups a block of `cut` has, as a constant.
template <class Use>
void with_groups(const GroupTiles& cut, const Use& use) {
  switch (cut.own_groups) {
    case 1: return use(std::integral_constant<int, 1>{});
    case 2: return use(std::integral_constant<int, 2>{});
    case 4: return use(std::integral_constant<int, 4>{});
    default: return use(std::integral_constant<int, 8>{});
  }
}

}  // namespace deq::cuda
