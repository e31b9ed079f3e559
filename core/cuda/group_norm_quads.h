#pragma once

#include <cmath>

#include "core/cuda/group_quads.h"
#include "core/cuda/norm_input.h"
#include "core/cuda/sums.h"

// Group normalisation of [B,..,C] in one launch, a cluster of blocks a sample: memory is read once and written once, by
// quads side by side. A program for ranks (host_ranks.h).

namespace deq::cuda {

/// One normalisation of what threads hold: y = relu(normalised * gamma + beta + residual), each part if asked for.
struct QuadNorm {
  Index groups = 1;
  double eps = 0;
  const float *gamma = nullptr, *beta = nullptr, *residual = nullptr;
  bool post_relu = false;
};

/// As GroupNormForward; with kNorms = 2 a second normalisation of the result. Threads keep their quads, of which there
/// are up to kQuads, in registers while these suffice for two blocks, else in shared memory.
template <int kQuads, int kNorms>
struct GroupNormQuads {
  GroupQuads cut;
  NormInput input;
  QuadNorm norms[kNorms];
  float *y, *stats;  ///< stats of the first

  [[nodiscard]] static std::size_t shared_bytes(const GroupQuads& cut) { return Layout(cut).bytes; }

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Layout layout(cut);
    typename Block::template Kept<Own> kept(block);
    block.each_thread([&](int rank, int thread) { load(block, layout, rank, thread, kept(rank, thread)); });
    for (int turn = 0; turn < kNorms; ++turn) {
      const QuadNorm& norm = norms[turn];
      block.each_thread([&](int rank, int thread) { sum(block, layout, norm, rank, thread, kept(rank, thread)); });
      block.each_warp([&](int rank, int thread) { return group_sums(block, layout, norm, rank, thread); },
                      [&](int rank, int warp, const Sums<2>& total) {
                        if (warp >= norm.groups) return;
                        const GroupMoments own = moments(block, layout, norm, rank, warp, total);
                        for (int to = 0; to < cut.ranks; ++to) layout.of_rank(block, to, turn, rank)[warp] = own;
                      });
      block.each_thread([&](int rank, int thread) { join(block, layout, turn, rank, thread); });
      block.each_thread([&](int rank, int thread) { apply(block, layout, turn, rank, thread, kept(rank, thread)); });
    }
  }

 private:
  using Layout = QuadLayout<kQuads, kNorms>;
  struct Own {
    ChannelQuad at[Layout::kInShared ? 1 : kQuads];
  };
  template <class Block>
  DEQ_HOST_DEVICE ChannelQuad& quad_at(const Block& block, const Layout& layout, int rank, int thread, Own& own,
                                       int k) const {
    if constexpr (Layout::kInShared)
      return block.template shared<ChannelQuad>(rank, layout.quads)[k * cut.threads + thread];
    else
      return own.at[k];
  }
  /// First of a thread's channels.
  [[nodiscard]] DEQ_HOST_DEVICE Index channel_of(int thread) const { return thread % (cut.channels / 4) * 4; }
  [[nodiscard]] DEQ_HOST_DEVICE Index width(const QuadNorm& norm) const { return cut.channels / norm.groups; }

  /// The first pixel of a block gives the values about which its sums are taken, so that they do not cancel.
  template <class Block>
  DEQ_HOST_DEVICE void refer_to(const Block& block, const Layout& layout, const QuadNorm& norm, int rank, int thread,
                                const ChannelQuad& value) const {
    if (thread >= cut.channels / 4) return;
    for (int i = 0; i < 4; ++i)
      if (const Index channel = 4 * thread + i; channel % width(norm) == 0)
        block.template shared<float>(rank, layout.references)[channel / width(norm)] = value.at[i];
  }

  template <class Block>
  DEQ_HOST_DEVICE void load(const Block& block, const Layout& layout, int rank, int thread, Own& own) const {
    const Index sample = block.index(), first = rank * cut.threads + thread, all = cut.all_threads();
    const ChannelQuad factors = input.scale_quad(sample, channel_of(thread));
    unrolled<kQuads>([&](int k) {  // all at once: nothing waits for the one before
      const Index quad = first + k * all;
      if (quad < cut.quads())
        quad_at(block, layout, rank, thread, own, k) = input.quad(sample * cut.quads() + quad, factors);
    });
    refer_to(block, layout, norms[0], rank, thread, quad_at(block, layout, rank, thread, own, 0));
  }

  template <class Block>
  DEQ_HOST_DEVICE void sum(const Block& block, const Layout& layout, const QuadNorm& norm, int rank, int thread,
                           Own& own) const {
    const Index first = rank * cut.threads + thread, all = cut.all_threads();
    const float* const of_group = block.template shared<float>(rank, layout.references);
    ChannelQuad references, sums, squares;
    for (int i = 0; i < 4; ++i) references.at[i] = of_group[(channel_of(thread) + i) / width(norm)];
    unrolled<kQuads>([&](int k) {
      if (first + k * all >= cut.quads()) return;
      const ChannelQuad& value = quad_at(block, layout, rank, thread, own, k);
      for (int i = 0; i < 4; ++i) {
        const float distance = value.at[i] - references.at[i];
        sums.at[i] += distance;
        squares.at[i] += distance * distance;
      }
    });
    auto* const of_thread = block.template shared<ChannelQuad>(rank, 0);
    of_thread[thread] = sums;
    of_thread[cut.threads + thread] = squares;
  }

  /// Part of the sums of the group whose number is that of the thread's warp.
  template <class Block>
  DEQ_HOST_DEVICE Sums<2> group_sums(const Block& block, const Layout&, const QuadNorm& norm, int rank,
                                     int thread) const {
    const Index group = thread / kWarp, elements = cut.lines() * width(norm);
    const float* const sums = block.template shared<float>(rank, 0);
    const float* const squares = sums + 4 * cut.threads;
    Sums<2> total;
    for (Index i = thread % kWarp; group < norm.groups && i < elements; i += kWarp) {
      const Index line = i / width(norm), at = line * cut.channels + group * width(norm) + i - line * width(norm);
      total.at[0] += static_cast<double>(sums[at]);
      total.at[1] += static_cast<double>(squares[at]);
    }
    return total;
  }

  template <class Block>
  DEQ_HOST_DEVICE GroupMoments moments(const Block& block, const Layout& layout, const QuadNorm& norm, int rank,
                                       Index group, const Sums<2>& total) const {
    const auto reference = static_cast<double>(block.template shared<float>(rank, layout.references)[group]);
    const double count = static_cast<double>(cut.pixels_of(rank)) * width(norm);
    if (count == 0) return {};
    const double mean = total.at[0] / count;
    return {count, reference + mean, total.at[1] - total.at[0] * mean};
  }

  /// Factors of every group from the moments of all ranks, by the parallel variance formula.
  template <class Block>
  DEQ_HOST_DEVICE void join(const Block& block, const Layout& layout, int turn, int rank, int thread) const {
    const QuadNorm& norm = norms[turn];
    if (thread >= norm.groups) return;
    const double count = static_cast<double>(cut.rows) * width(norm);
    double mean = 0, spread = 0;
    for (int from = 0; from < cut.ranks; ++from) {
      const GroupMoments& own = layout.of_rank(block, rank, turn, from)[thread];
      mean += own.count * own.mean;
    }
    mean /= count;
    for (int from = 0; from < cut.ranks; ++from) {
      const GroupMoments& own = layout.of_rank(block, rank, turn, from)[thread];
      spread += own.spread + own.count * (own.mean - mean) * (own.mean - mean);
    }
    const double variance = spread / count;
    const double rstd = 1 / std::sqrt((variance > 0 ? variance : variance == variance ? 0 : variance) + norm.eps);
    block.template shared<GroupFactors>(rank, layout.factors)[thread] = {mean, rstd};
    if (stats == nullptr || rank != 0 || turn != 0) return;
    float* const to = stats + (std::int64_t{block.index()} * norm.groups + thread) * 2;
    to[0] = static_cast<float>(mean);
    to[1] = static_cast<float>(rstd);
  }

  /// Writes y after the last turn, else what the next one normalises.
  template <class Block>
  DEQ_HOST_DEVICE void apply(const Block& block, const Layout& layout, int turn, int rank, int thread, Own& own) const {
    const QuadNorm& norm = norms[turn];
    const bool is_last = turn + 1 == kNorms;
    if (is_last && y == nullptr) return;
    const Index channel = channel_of(thread), first = rank * cut.threads + thread, all = cut.all_threads();
    const auto* const of_group = block.template shared<GroupFactors>(rank, layout.factors);
    ChannelQuad scale, offset;
    for (int i = 0; i < 4; ++i) {
      const GroupFactors& of = of_group[(channel + i) / width(norm)];
      const double factor = norm.gamma == nullptr ? of.rstd : of.rstd * static_cast<double>(norm.gamma[channel + i]);
      const double constant = norm.beta == nullptr ? 0.0 : static_cast<double>(norm.beta[channel + i]);
      scale.at[i] = static_cast<float>(factor);
      offset.at[i] = static_cast<float>(constant - of.mean * factor);
    }
    const Index start = block.index() * cut.quads();
    const auto* const added = reinterpret_cast<const ChannelQuad*>(norm.residual);
    unrolled<kQuads>([&](int k) {
      const Index quad = first + k * all;
      if (quad >= cut.quads()) return;
      ChannelQuad value = quad_at(block, layout, rank, thread, own, k), more;
      if (added != nullptr) more = added[start + quad];
      for (int i = 0; i < 4; ++i) {
        value.at[i] = value.at[i] * scale.at[i] + offset.at[i] + more.at[i];
        if (norm.post_relu && value.at[i] < 0.0F) value.at[i] = 0.0F;
      }
      if (is_last)
        reinterpret_cast<ChannelQuad*>(y)[start + quad] = value;
      else
        quad_at(block, layout, rank, thread, own, k) = value;
    });
    if (!is_last)
      refer_to(block, layout, norms[kNorms - 1], rank, thread, quad_at(block, layout, rank, thread, own, 0));
  }
};

}  // namespace deq::cuda
