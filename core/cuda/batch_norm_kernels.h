#pragma once

#include <cmath>

#include "core/cuda/column_sums.h"

// Batch normalisation of [..,C] in training mode: sums by pieces of rows, one block a channel for its factors, then one
// map over all elements. The factors lie in the workspace behind the pairs.

namespace deq::cuda {

struct PlainInput {
  const float* x;
  DEQ_HOST_DEVICE float operator()(Index i) const { return x[i]; }
};

/// y = scale a + slope b + offset by channel; a factor array that is null stands for zeros and its operand is not read.
struct ScaleChannels {
  const float *a, *b, *scale, *slope, *offset;
  float* y;
  Index channels;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index c = i % channels;
    y[i] = scale[c] * a[i] + (slope == nullptr ? offset[c] : slope[c] * b[i] + offset[c]);
  }
};

/// Arrays over the channels behind `pairs` pairs of a workspace.
struct ChannelFactors {
  float *scale, *slope, *offset;
  ChannelFactors(ColumnPair* pairs, const ColumnBlocks& cut)
      : scale(reinterpret_cast<float*>(pairs + cut.pairs())), slope(scale + cut.columns), offset(slope + cut.columns) {}
  static std::size_t workspace_bytes(const ColumnBlocks& cut) {
    return static_cast<std::size_t>(cut.pairs()) * sizeof(ColumnPair) + static_cast<std::size_t>(cut.columns) * 3 * 4;
  }
};

struct BatchNormFactors {
  ColumnBlocks cut;
  const ColumnPair* pairs;  ///< {mean, spread} by piece
  const float *gamma, *beta;
  float *scale, *offset, *mean_out, *variance_out;
  double eps;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index c = block.index();
    const auto over_pieces = [&](const auto& term) {
      return block.sum([&](int thread) {
        double own = 0;
        for (Index piece = thread; piece < cut.pieces; piece += block.threads())
          own += term(pairs[std::int64_t{piece} * cut.columns + c], cut.end(piece) - cut.begin(piece));
        return own;
      });
    };
    const double mean = over_pieces([](const ColumnPair& pair, Index n) { return pair.first * n; }) / cut.rows;
    const double spread = over_pieces([mean](const ColumnPair& pair, Index n) {
      const double distance = pair.first - mean;
      return pair.second + n * distance * distance;
    });
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      const double variance = spread / cut.rows;
      const double rstd = 1 / std::sqrt((variance < 0 ? 0 : variance) + eps);
      const double factor = gamma == nullptr ? rstd : rstd * static_cast<double>(gamma[c]);
      scale[c] = static_cast<float>(factor);
      offset[c] = static_cast<float>((beta == nullptr ? 0.0 : static_cast<double>(beta[c])) - mean * factor);
      if (mean_out != nullptr) mean_out[c] = static_cast<float>(mean);
      if (variance_out != nullptr) variance_out[c] = static_cast<float>(variance);
    });
  }
};

/// Sums of g and g (x - mean).
struct BatchNormGradTerms {
  const float *x, *g, *mean;
  DEQ_HOST_DEVICE float start(Index, Index c) const { return mean[c]; }
  DEQ_HOST_DEVICE void add(Index i, float centre, float& first, float& second) const {
    first += g[i];
    second += g[i] * (x[i] - centre);
  }
  DEQ_HOST_DEVICE ColumnPair finish(float, Index, const ColumnPair& sums) const { return sums; }
};

/// dx = gamma rstd (g - mean(g) - xhat mean(g xhat)) = scale g + slope x + offset.
struct BatchNormGradFactors {
  ColumnBlocks cut;
  const ColumnPair* pairs;
  const float *mean, *variance, *gamma;
  float *scale, *slope, *offset, *dgamma, *dbeta;
  double eps;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index c = block.index();
    const ColumnPair sums = block.sum([&](int thread) {
      ColumnPair own;
      for (Index piece = thread; piece < cut.pieces; piece += block.threads())
        own += pairs[std::int64_t{piece} * cut.columns + c];
      return own;
    });
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      const double rstd = 1 / std::sqrt(static_cast<double>(variance[c]) + eps);
      const double mean_g = sums.first / cut.rows, mean_g_xhat = sums.second * rstd / cut.rows;
      const double factor = gamma == nullptr ? rstd : rstd * static_cast<double>(gamma[c]);
      scale[c] = static_cast<float>(factor);
      slope[c] = static_cast<float>(-factor * rstd * mean_g_xhat);
      offset[c] = static_cast<float>(factor * (rstd * mean_g_xhat * static_cast<double>(mean[c]) - mean_g));
      if (dgamma != nullptr) dgamma[c] = static_cast<float>(sums.second * rstd);
      if (dbeta != nullptr) dbeta[c] = static_cast<float>(sums.first);
    });
  }
};

inline ColumnBlocks batch_norm_blocks(const Shape& shape) {
  constexpr int kMostPieces = 256;
  return {1, shape.elements() / shape[-1], shape[-1], kMostPieces};
}
inline constexpr int kFactorThreads = 64;

template <class Launcher>
std::unique_ptr<Kernel> lower_batch_norm(const KernelRequest& request, const Launcher& launcher, const BatchNorm& op) {
  const ColumnBlocks cut = batch_norm_blocks(request.inputs[0].shape);
  return make_kernel(
      [=, n = request.inputs[0].shape.elements()](const Operands& bound) {
        auto* pairs = bound.scratch<ColumnPair>();
        const ChannelFactors to(pairs, cut);
        const float* x = bound.in(0);
        using Terms = MomentTerms<PlainInput>;
        launcher.for_each_block(cut.blocks(), cut.threads(), cut.shared_bytes(),
                                SumColumns<Terms>{cut, {{x}, cut.rows, cut.columns}, pairs});
        launcher.for_each_block(
            cut.columns, kFactorThreads, 0,
            BatchNormFactors{cut, pairs, op.affine ? bound.in(1) : nullptr, op.affine ? bound.in(2) : nullptr, to.scale,
                             to.offset, bound.out(1), bound.out(2), op.eps});
        if (bound.out(0) == nullptr) return;
        launcher.for_each(n, ScaleChannels{x, nullptr, to.scale, nullptr, to.offset, bound.out(0), cut.columns});
      },
      ChannelFactors::workspace_bytes(cut));
}

template <class Launcher>
std::unique_ptr<Kernel> lower_batch_norm_grad(const KernelRequest& request, const Launcher& launcher,
                                              const BatchNormGrad& op) {
  const ColumnBlocks cut = batch_norm_blocks(request.inputs[0].shape);
  return make_kernel(
      [=, n = request.inputs[0].shape.elements()](const Operands& bound) {
        auto* pairs = bound.scratch<ColumnPair>();
        const ChannelFactors to(pairs, cut);
        const float *x = bound.in(0), *mean = bound.in(1), *g = bound.in(3);
        launcher.for_each_block(cut.blocks(), cut.threads(), cut.shared_bytes(),
                                SumColumns<BatchNormGradTerms>{cut, {x, g, mean}, pairs});
        launcher.for_each_block(cut.columns, kFactorThreads, 0,
                                BatchNormGradFactors{cut, pairs, mean, bound.in(2), op.affine ? bound.in(4) : nullptr,
                                                     to.scale, to.slope, to.offset, op.affine ? bound.out(1) : nullptr,
                                                     op.affine ? bound.out(2) : nullptr, op.eps});
        if (bound.out(0) == nullptr) return;
        launcher.for_each(n, ScaleChannels{g, x, to.scale, to.slope, to.offset, bound.out(0), cut.columns});
      },
      ChannelFactors::workspace_bytes(cut));
}

}  // namespace deq::cuda
