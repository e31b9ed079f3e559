#pragma once

#include <cmath>

#include "core/cuda/column_sums.h"
#include "core/cuda/norm_input.h"

// Group normalisation of [B,..,C] with its fused neighbours, and its gradient. Two steps over each sample: sums of
// every column by pieces of rows, then, in every block again from the few pairs of the sample, the factors of each
// channel, and y. Samples of one piece and one tile do both steps
// in one launch.

namespace deq::cuda {

/// Shared memory of the second step, after that of the sums: doubles and floats of every channel.
struct ChannelArrays {
  double *first, *second;
  float *scale, *slope, *offset;

  template <class Block>
  DEQ_HOST_DEVICE ChannelArrays(const Block& block, Index channels)
      : first(block.template shared<double>()),
        second(first + channels),
        scale(reinterpret_cast<float*>(second + channels)),
        slope(scale + channels),
        offset(slope + channels) {}
  static std::size_t bytes(Index channels) { return static_cast<std::size_t>(channels) * (2 * 8 + 3 * 4); }
};

/// y = normalised input [* gamma + beta] [+ residual], relu where asked for. Absent operands are null.
struct GroupNormForward {
  ColumnBlocks cut;
  NormInput input;
  const float *gamma, *beta, *residual;
  float *y, *stats;
  ColumnPair* pairs;  ///< {mean, spread} by sample, piece, channel
  Index groups;
  double eps;
  bool post_relu;

  DEQ_HOST_DEVICE MomentTerms<NormInput> terms() const { return {input, cut.rows, cut.columns}; }

  /// Factors of every channel from the pairs of its group: y = scale x + offset.
  template <class Block>
  DEQ_HOST_DEVICE void join(const Block& block, const ChannelArrays& shared, Index sample, bool writes_stats) const {
    const Index channels = cut.columns, width = channels / groups;
    const ColumnPair* own = pairs + std::int64_t{sample} * cut.pieces * channels;
    const double count = static_cast<double>(cut.rows) * width;
    const auto group_sum = [&](const double* values, Index c) {
      double total = 0;
      for (Index k = c / width * width; k < (c / width + 1) * width; ++k) total += values[k];
      return total;
    };
    block.each_thread([&](int thread) {
      for (Index c = thread; c < channels; c += block.threads()) {
        double total = 0;
        for (Index piece = 0; piece < cut.pieces; ++piece)
          total += own[piece * channels + c].first * (cut.end(piece) - cut.begin(piece));
        shared.first[c] = total;
      }
    });
    block.each_thread([&](int thread) {
      for (Index c = thread; c < channels; c += block.threads()) {
        const double mean = group_sum(shared.first, c) / count;
        double spread = 0;
        for (Index piece = 0; piece < cut.pieces; ++piece) {
          const ColumnPair& pair = own[piece * channels + c];
          const double distance = pair.first - mean;
          spread += pair.second + (cut.end(piece) - cut.begin(piece)) * distance * distance;
        }
        shared.second[c] = spread;
      }
    });
    block.each_thread([&](int thread) {
      for (Index c = thread; c < channels; c += block.threads()) {
        const double mean = group_sum(shared.first, c) / count, spread = group_sum(shared.second, c) / count;
        const double rstd = 1 / std::sqrt((spread > 0 ? spread : spread == spread ? 0 : spread) + eps);
        const double factor = gamma == nullptr ? rstd : rstd * static_cast<double>(gamma[c]);
        shared.scale[c] = static_cast<float>(factor);
        shared.offset[c] = static_cast<float>((beta == nullptr ? 0.0 : static_cast<double>(beta[c])) - mean * factor);
        if (!writes_stats || c % width != 0) continue;
        float* to = stats + (std::int64_t{sample} * groups + c / width) * 2;
        to[0] = static_cast<float>(mean);
        to[1] = static_cast<float>(rstd);
      }
    });
  }

  template <class Block>
  DEQ_HOST_DEVICE void finish(const Block& block, Index sample, Index piece) const {
    const ChannelArrays shared(block, cut.columns);
    join(block, shared, sample, stats != nullptr && piece == 0);
    if (y == nullptr) return;
    const Index first = (sample * cut.rows + cut.begin(piece)) * cut.columns;
    const Index n = (cut.end(piece) - cut.begin(piece)) * cut.columns;
    block.each_thread([&](int thread) {
      for (Index k = thread; k < n; k += block.threads()) {
        const Index i = first + k, c = k % cut.columns;
        float value = input(i) * shared.scale[c] + shared.offset[c];
        if (residual != nullptr) value += residual[i];
        y[i] = post_relu && value < 0.0F ? 0.0F : value;
      }
    });
  }
};

/// dx = rstd (h - mean(h) - xhat mean(h xhat)), h = gamma g, from sums of g and g (x - mean) over every column.
struct GroupNormBackward {
  ColumnBlocks cut;
  const float *x, *stats, *g, *gamma;
  float* dx;
  ColumnPair* pairs;
  Index groups;

  struct Terms {
    const float *x, *stats, *g;
    Index groups, width;
    DEQ_HOST_DEVICE float start(Index sample, Index c) const { return stats[2 * (sample * groups + c / width)]; }
    DEQ_HOST_DEVICE void add(Index i, float mean, float& first, float& second) const {
      first += g[i];
      second += g[i] * (x[i] - mean);
    }
    DEQ_HOST_DEVICE ColumnPair finish(float, Index, const ColumnPair& sums) const { return sums; }
  };
  DEQ_HOST_DEVICE Terms terms() const { return {x, stats, g, groups, cut.columns / groups}; }

  /// dx = scale g + slope x + offset by channel.
  template <class Block>
  DEQ_HOST_DEVICE void join(const Block& block, const ChannelArrays& shared, Index sample) const {
    const Index channels = cut.columns, width = channels / groups;
    const ColumnPair* own = pairs + std::int64_t{sample} * cut.pieces * channels;
    block.each_thread([&](int thread) {
      for (Index c = thread; c < channels; c += block.threads()) {
        ColumnPair total;
        for (Index piece = 0; piece < cut.pieces; ++piece) total += own[piece * channels + c];
        const double factor = gamma == nullptr ? 1.0 : static_cast<double>(gamma[c]);
        shared.first[c] = factor * total.first;
        shared.second[c] = factor * total.second;
      }
    });
    block.each_thread([&](int thread) {
      const double count = static_cast<double>(cut.rows) * width;
      for (Index c = thread; c < channels; c += block.threads()) {
        const float* own_stats = stats + (std::int64_t{sample} * groups + c / width) * 2;
        const auto mean = static_cast<double>(own_stats[0]), rstd = static_cast<double>(own_stats[1]);
        ColumnPair sums;
        for (Index k = c / width * width; k < (c / width + 1) * width; ++k)
          sums += ColumnPair{shared.first[k], shared.second[k]};
        const double mean_h = sums.first / count, mean_h_xhat = sums.second * rstd / count;
        shared.scale[c] = static_cast<float>(rstd * (gamma == nullptr ? 1.0 : static_cast<double>(gamma[c])));
        shared.slope[c] = static_cast<float>(-rstd * rstd * mean_h_xhat);
        shared.offset[c] = static_cast<float>(rstd * (rstd * mean_h_xhat * mean - mean_h));
      }
    });
  }

  template <class Block>
  DEQ_HOST_DEVICE void finish(const Block& block, Index sample, Index piece) const {
    if (dx == nullptr) return;
    const ChannelArrays shared(block, cut.columns);
    join(block, shared, sample);
    const Index first = (sample * cut.rows + cut.begin(piece)) * cut.columns;
    const Index n = (cut.end(piece) - cut.begin(piece)) * cut.columns;
    block.each_thread([&](int thread) {
      for (Index k = thread; k < n; k += block.threads()) {
        const Index i = first + k, c = k % cut.columns;
        dx[i] = shared.scale[c] * g[i] + (shared.slope[c] * x[i] + shared.offset[c]);
      }
    });
  }
};

}  // namespace deq::cuda
