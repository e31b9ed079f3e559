#pragma once

#include "core/cuda/group_norm_kernels.h"
#include "core/cuda/group_tiles.h"

// Group normalisation of [B,..,C] in one launch: a block has a few whole groups of one sample. A thread keeps to one
// channel and walks down its rows.

namespace deq::cuda {

/// GroupNormForward with what it normalises in shared memory: mean first, then the spread about it.
template <int kGroups>
struct GroupNormTile {
  GroupTiles cut;
  NormInput input;
  const float *gamma, *beta, *residual;
  float *y, *stats;
  double eps;
  bool post_relu;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const double count = static_cast<double>(cut.rows) * cut.width();
    float* const kept = block.template shared<float>();
    const auto place = [&](int thread, Index k) { return k * block.threads() + thread; };
    const Sums<kGroups> totals = block.sum([&](int thread) {
      const GroupLane lane(cut, block.index(), thread);
      float total = 0;
      lane.walk(
          cut, [&](Index i) { return input(i); },
          [&](Index, float value, Index k) {
            kept[place(thread, k)] = value;
            total += value;
          });
      return lane.template of_group<kGroups>(total);
    });
    const Sums<kGroups> spreads = block.sum([&](int thread) {
      const GroupLane lane(cut, block.index(), thread);
      const auto mean = static_cast<float>(GroupLane::pick(totals, lane.group) / count);
      float spread = 0;
      lane.walk(
          cut, [](Index) { return 0; },
          [&](Index, int, Index k) {
            const float distance = kept[place(thread, k)] - mean;
            spread += distance * distance;
          });
      return lane.template of_group<kGroups>(spread);
    });
    block.each_thread([&](int thread) { finish(block, thread, totals, spreads, count); });
  }

 private:
  template <class Block>
  DEQ_HOST_DEVICE void finish(const Block& block, int thread, const Sums<kGroups>& totals, const Sums<kGroups>& spreads,
                              double count) const {
    const GroupLane lane(cut, block.index(), thread);
    if (lane.is_idle) return;
    const double mean = GroupLane::pick(totals, lane.group) / count;
    // Distances were taken from the mean in float: what that is off by is in every one of them.
    const double off = mean - static_cast<double>(static_cast<float>(mean));
    const double variance = GroupLane::pick(spreads, lane.group) / count - off * off;
    const double rstd = 1 / std::sqrt((variance > 0 ? variance : variance == variance ? 0 : variance) + eps);
    const double factor = gamma == nullptr ? rstd : rstd * static_cast<double>(gamma[lane.channel]);
    const auto scale = static_cast<float>(factor);
    const auto offset =
        static_cast<float>((beta == nullptr ? 0.0 : static_cast<double>(beta[lane.channel])) - mean * factor);
    if (stats != nullptr && lane.line == 0 && lane.channel % cut.width() == 0) {
      float* to = stats + (std::int64_t{lane.sample} * cut.groups + lane.channel / cut.width()) * 2;
      to[0] = static_cast<float>(mean);
      to[1] = static_cast<float>(rstd);
    }
    if (y == nullptr) return;
    const float* const kept = block.template shared<float>();
    lane.walk(
        cut, [&](Index i) { return residual == nullptr ? 0.0F : residual[i]; },
        [&](Index i, float added, Index k) {
          const float value = kept[k * block.threads() + thread] * scale + offset + added;
          y[i] = post_relu && value < 0.0F ? 0.0F : value;
        });
  }
};

/// GroupNormBackward where the gradients of gamma and beta are not asked for.
template <int kGroups>
struct GroupNormGradTile {
  GroupTiles cut;
  const float *x, *stats, *g, *gamma;
  float* dx;

  struct Pair {
    float g, x;
  };

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const double count = static_cast<double>(cut.rows) * cut.width();
    const auto load = [&](Index i) { return Pair{g[i], x[i]}; };
    Sums<2 * kGroups> sums = block.sum([&](int thread) {
      const GroupLane lane(cut, block.index(), thread);
      const float mean = lane.is_idle ? 0.0F : stats_of(lane)[0];
      float first = 0, second = 0;
      lane.walk(cut, load, [&](Index, const Pair& at, Index) {
        first += at.g;
        second += at.g * (at.x - mean);
      });
      const float factor = gamma == nullptr || lane.is_idle ? 1.0F : gamma[lane.channel];
      const Sums<kGroups> firsts = lane.template of_group<kGroups>(first),
                          seconds = lane.template of_group<kGroups>(second);
      Sums<2 * kGroups> both;
      for (int k = 0; k < kGroups; ++k) {
        both.at[k] = static_cast<double>(factor) * firsts.at[k];
        both.at[kGroups + k] = static_cast<double>(factor) * seconds.at[k];
      }
      return both;
    });
    block.each_thread([&](int thread) {
      const GroupLane lane(cut, block.index(), thread);
      if (lane.is_idle) return;
      const auto mean = static_cast<double>(stats_of(lane)[0]), rstd = static_cast<double>(stats_of(lane)[1]);
      const double mean_h = GroupLane::pick(sums, lane.group) / count;
      const double mean_h_xhat = GroupLane::pick(sums, kGroups + lane.group) * rstd / count;
      const auto scale = static_cast<float>(rstd * (gamma == nullptr ? 1.0 : static_cast<double>(gamma[lane.channel])));
      const auto slope = static_cast<float>(-rstd * rstd * mean_h_xhat);
      const auto offset = static_cast<float>(rstd * (rstd * mean_h_xhat * mean - mean_h));
      lane.walk(cut, load, [&](Index i, const Pair& at, Index) { dx[i] = scale * at.g + (slope * at.x + offset); });
    });
  }

 private:
  [[nodiscard]] DEQ_HOST_DEVICE const float* stats_of(const GroupLane& lane) const {
    return stats + (std::int64_t{lane.sample} * cut.groups + lane.channel / cut.width()) * 2;
  }
};

}  // namespace deq::cuda
