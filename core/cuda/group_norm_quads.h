#pragma once

#include "core/cuda/group_norm_kernels.h"
#include "core/cuda/group_quads.h"
#include "core/cuda/sums.h"

// Group normalisation of [B,..,C] in one launch, a cluster of blocks a sample: memory is read once and written once, by
// quads side by side. A program for ranks (host_ranks.h).

namespace deq::cuda {

/// As GroupNormForward. Threads keep their quads, of which there are up to kQuads, in registers while these suffice for
/// two blocks, else in shared memory. Moments are taken about the first element of each group.
template <int kQuads>
struct GroupNormQuads {
  GroupQuads cut;
  NormInput input;
  const float *gamma, *beta, *residual;
  float *y, *stats;
  double eps;
  bool post_relu;

  static constexpr bool kInShared = kQuads > 8;

  [[nodiscard]] static std::size_t shared_bytes(const GroupQuads& cut) { return Layout(cut).bytes; }

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Layout layout(cut);
    typename Block::template Kept<Own> kept(block);
    block.each_thread([&](int rank, int thread) { load(block, layout, rank, thread, kept(rank, thread)); });
    block.each_warp([&](int rank, int thread) { return group_moments(block, layout, rank, thread); },
                    [&](int rank, int warp, const Sums<2>& total) {
                      for (int to = 0; warp < cut.groups && to < cut.ranks; ++to)
                        block.template shared<Sums<2>>(to, layout.of_rank)[rank * cut.groups + warp] = total;
                    });
    block.each_thread([&](int rank, int thread) { join(block, layout, rank, thread); });
    block.each_thread([&](int rank, int thread) { store(block, layout, rank, thread, kept(rank, thread)); });
  }

 private:
  /// Shared memory of a block: moments of every thread's channels, those of every rank's groups, of every group first
  /// its reference and then {mean, rstd}, and quads that registers have no room for.
  struct Layout {
    std::size_t of_rank, of_group, quads, bytes;
    DEQ_HOST_DEVICE explicit Layout(const GroupQuads& cut) {
      of_rank = static_cast<std::size_t>(cut.threads) * 2 * sizeof(ChannelQuad);
      of_group = of_rank + static_cast<std::size_t>(cut.ranks * cut.groups) * sizeof(Sums<2>);
      quads = of_group + static_cast<std::size_t>(cut.groups) * sizeof(Sums<2>);
      bytes = quads + (kInShared ? static_cast<std::size_t>(cut.threads) * kQuads * sizeof(ChannelQuad) : 0);
    }
  };
  struct Own {
    ChannelQuad at[kInShared ? 1 : kQuads];
  };

  template <class Block>
  DEQ_HOST_DEVICE ChannelQuad& quad_at(const Block& block, const Layout& layout, int rank, int thread, Own& own,
                                       int k) const {
    if constexpr (kInShared)
      return block.template shared<ChannelQuad>(rank, layout.quads)[k * cut.threads + thread];
    else
      return own.at[k];
  }
  /// First of a thread's channels.
  [[nodiscard]] DEQ_HOST_DEVICE Index channel_of(int thread) const { return thread % (cut.channels / 4) * 4; }
  [[nodiscard]] DEQ_HOST_DEVICE float reference_of(Index sample, Index group) const {
    return input(sample * cut.rows * cut.channels + group * cut.width());
  }

  template <class Block>
  DEQ_HOST_DEVICE void load(const Block& block, const Layout& layout, int rank, int thread, Own& own) const {
    const Index sample = block.index(), first = rank * cut.threads + thread, all = cut.all_threads();
    const ChannelQuad factors = input.scale_quad(sample, channel_of(thread));
    ChannelQuad references, sums, squares;
    for (int i = 0; i < 4; ++i) references.at[i] = reference_of(sample, (channel_of(thread) + i) / cut.width());
    unrolled<kQuads>([&](int k) {  // all at once: nothing waits for the one before
      const Index quad = first + k * all;
      if (quad < cut.quads())
        quad_at(block, layout, rank, thread, own, k) = input.quad(sample * cut.quads() + quad, factors);
    });
    unrolled<kQuads>([&](int k) {
      if (first + k * all >= cut.quads()) return;
      const ChannelQuad& value = quad_at(block, layout, rank, thread, own, k);
      for (int i = 0; i < 4; ++i) {
        const float distance = value.at[i] - references.at[i];
        sums.at[i] += distance;
        squares.at[i] += distance * distance;
      }
    });
    // Whoever is done may write y over x, so that nobody reads x in a later phase.
    if (thread < cut.groups)
      block.template shared<Sums<2>>(rank, layout.of_group)[thread].at[0] =
          static_cast<double>(reference_of(sample, thread));
    auto* const moments = block.template shared<ChannelQuad>(rank, 0);
    moments[thread] = sums;
    moments[cut.threads + thread] = squares;
  }

  /// Part of the moments of the group whose number is that of the thread's warp.
  template <class Block>
  DEQ_HOST_DEVICE Sums<2> group_moments(const Block& block, const Layout&, int rank, int thread) const {
    const Index group = thread / kWarp, elements = cut.lines() * cut.width();
    const float* const sums = block.template shared<float>(rank, 0);
    const float* const squares = sums + 4 * cut.threads;
    Sums<2> total;
    for (Index i = thread % kWarp; group < cut.groups && i < elements; i += kWarp) {
      const Index line = i / cut.width(), at = line * cut.channels + group * cut.width() + i - line * cut.width();
      total.at[0] += static_cast<double>(sums[at]);
      total.at[1] += static_cast<double>(squares[at]);
    }
    return total;
  }

  /// {mean, rstd} of every group from the moments of all ranks.
  template <class Block>
  DEQ_HOST_DEVICE void join(const Block& block, const Layout& layout, int rank, int thread) const {
    if (thread >= cut.groups) return;
    const Sums<2>* const of_rank = block.template shared<Sums<2>>(rank, layout.of_rank);
    Sums<2> total;
    for (int from = 0; from < cut.ranks; ++from) total += of_rank[from * cut.groups + thread];
    const double count = static_cast<double>(cut.rows) * cut.width(), shifted = total.at[0] / count;
    const double variance = total.at[1] / count - shifted * shifted;
    Sums<2>& factors = block.template shared<Sums<2>>(rank, layout.of_group)[thread];
    const double mean = factors.at[0] + shifted;
    const double rstd = 1 / std::sqrt((variance > 0 ? variance : variance == variance ? 0 : variance) + eps);
    factors.at[0] = mean;
    factors.at[1] = rstd;
    if (stats == nullptr || rank != 0) return;
    float* const to = stats + (std::int64_t{block.index()} * cut.groups + thread) * 2;
    to[0] = static_cast<float>(mean);
    to[1] = static_cast<float>(rstd);
  }

  template <class Block>
  DEQ_HOST_DEVICE void store(const Block& block, const Layout& layout, int rank, int thread, Own& own) const {
    if (y == nullptr) return;
    const Index channel = channel_of(thread), first = rank * cut.threads + thread, all = cut.all_threads();
    const Sums<2>* const of_group = block.template shared<Sums<2>>(rank, layout.of_group);
    ChannelQuad scale, offset;
    for (int i = 0; i < 4; ++i) {
      const Sums<2>& of = of_group[(channel + i) / cut.width()];
      const double factor = gamma == nullptr ? of.at[1] : of.at[1] * static_cast<double>(gamma[channel + i]);
      scale.at[i] = static_cast<float>(factor);
      const double constant = beta == nullptr ? 0.0 : static_cast<double>(beta[channel + i]);
      offset.at[i] = static_cast<float>(constant - of.at[0] * factor);
    }
    const Index start = block.index() * cut.quads();
    const auto* const added = reinterpret_cast<const ChannelQuad*>(residual);
    auto* const to = reinterpret_cast<ChannelQuad*>(y);
    unrolled<kQuads>([&](int k) {
      const Index quad = first + k * all;
      if (quad >= cut.quads()) return;
      ChannelQuad value = quad_at(block, layout, rank, thread, own, k), more;
      if (added != nullptr) more = added[start + quad];
      for (int i = 0; i < 4; ++i) {
        value.at[i] = value.at[i] * scale.at[i] + offset.at[i] + more.at[i];
        if (post_relu && value.at[i] < 0.0F) value.at[i] = 0.0F;
      }
      to[start + quad] = value;
    });
  }
};

}  // namespace deq::cuda
