#pragma once

#include "core/cuda/batch_norm_kernels.h"
#include "core/cuda/group_norm_quads_kernel.h"
#include "core/cuda/group_norm_tile.h"
#include "core/cuda/weight_norm.h"

// Lowering of the normalisations.

namespace deq::cuda {

/// Both steps of a norm for one sample of one piece and one tile.
template <class Norm>
struct WholeSample {
  Norm norm;
  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const ColumnBlocks& cut = norm.cut;
    ColumnPair* to = norm.pairs + std::int64_t{block.index()} * cut.columns;
    norm.cut.sum(block, block.index(), 0, 0, norm.terms(),
                 [to](Index column, const ColumnPair& pair) { to[column] = pair; });
    norm.finish(block, block.index(), 0);
  }
};

/// The second step for one piece of one sample.
template <class Norm>
struct FinishPiece {
  Norm norm;
  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index sample = block.index() / norm.cut.pieces;
    norm.finish(block, sample, block.index() - sample * norm.cut.pieces);
  }
};

template <class Norm, class Launcher>
void run_group_norm(const Launcher& launcher, const Norm& norm) {
  constexpr int kThreads = 256;
  const ColumnBlocks& cut = norm.cut;
  const std::size_t arrays = ChannelArrays::bytes(cut.columns);
  if (cut.pieces == 1 && cut.tiles == 1) {
    // The threads of the sums, whose shared memory the channel arrays take over.
    launcher.for_each_block(cut.outer, cut.threads(), std::max(cut.shared_bytes(), arrays), WholeSample<Norm>{norm});
    return;
  }
  using Terms = decltype(norm.terms());
  launcher.for_each_block(cut.blocks(), cut.threads(), cut.shared_bytes(),
                          SumColumns<Terms>{cut, norm.terms(), norm.pairs});
  launcher.for_each_block(std::int64_t{cut.outer} * cut.pieces, kThreads, arrays, FinishPiece<Norm>{norm});
}

/// dgamma = sum over samples of rstd * sum(g (x - mean)), dbeta = sum of g; one block a channel. Unread ones are null.
struct GroupNormAffineGradient {
  const ColumnPair* pairs;
  const float* stats;
  float *dgamma, *dbeta;
  Index samples, pieces, channels, groups;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index c = block.index(), group = c / (channels / groups);
    const ColumnPair total = block.sum([&](int thread) {
      ColumnPair own;
      for (Index row = thread; row < samples * pieces; row += block.threads()) {
        const ColumnPair& pair = pairs[std::int64_t{row} * channels + c];
        const auto rstd = static_cast<double>(stats[2 * (row / pieces * groups + group) + 1]);
        own += ColumnPair{pair.first, rstd * pair.second};
      }
      return own;
    });
    block.each_thread([&](int thread) {
      if (thread != 0) return;
      if (dbeta != nullptr) dbeta[c] = static_cast<float>(total.first);
      if (dgamma != nullptr) dgamma[c] = static_cast<float>(total.second);
    });
  }
};

inline constexpr int kMostNormPieces = 16;

inline ColumnBlocks norm_blocks(const KernelRequest& request) {
  const Shape& shape = request.inputs[0].shape;
  if (ChannelArrays::bytes(narrow(shape[-1])) > kMostSharedBytes)
    no_kernel(request, concat("group norm keeps its channels in shared memory, which has no room for ", shape[-1]));
  return {shape[0], shape.elements() / (shape[0] * shape[-1]), shape[-1], kMostNormPieces};
}

/// A block keeps its tile in shared memory, of whatever architecture.
inline constexpr std::size_t kMostTileBytes = 88 * 1024;

template <class Launcher>
std::unique_ptr<Kernel> make_group_norm_tile(const Launcher& launcher, const GroupTiles& cut, const GroupNorm& op,
                                             const Shape& shape) {
  return make_kernel([=](const Operands& bound) {
    const GroupNormOperands own(op, bound, shape);
    with_groups(cut, [&](auto count) {
      launcher.for_each_block(cut.blocks(), cut.threads(), cut.kept_bytes(),
                              GroupNormTile<count.value>{cut, own.input, own.gamma, own.beta, own.residual,
                                                         bound.out(0), bound.out(1), op.eps, op.post_relu});
    });
  });
}

template <class Launcher>
std::unique_ptr<Kernel> make_group_norm_grad_tile(const Launcher& launcher, const GroupTiles& cut, bool affine) {
  return make_kernel([=](const Operands& bound) {
    with_groups(cut, [&](auto count) {
      launcher.for_each_block(cut.blocks(), cut.threads(), 0,
                              GroupNormGradTile<count.value>{cut, bound.in(0), bound.in(1), bound.in(2),
                                                             affine ? bound.in(3) : nullptr, bound.out(0)});
    });
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_group_norm(const KernelRequest& request, const Launcher& launcher, const GroupNorm& op) {
  const Shape shape = request.inputs[0].shape;
  if (const auto quads = GroupQuads::of(shape, op.groups, /*norms=*/1, launcher.limits()))
    return make_group_norm_quads(launcher, *quads, op, shape);
  const auto tiles = GroupTiles::of(shape, op.groups);
  if (tiles && tiles->kept_bytes() <= kMostTileBytes) return make_group_norm_tile(launcher, *tiles, op, shape);
  const ColumnBlocks cut = norm_blocks(request);
  return make_kernel(
      [=](const Operands& bound) {
        const GroupNormOperands own(op, bound, shape);
        run_group_norm(launcher,
                       GroupNormForward{cut, own.input, own.gamma, own.beta, own.residual, bound.out(0), bound.out(1),
                                        bound.scratch<ColumnPair>(), op.groups, op.eps, op.post_relu});
      },
      static_cast<std::size_t>(cut.pairs()) * sizeof(ColumnPair));
}

template <class Launcher>
std::unique_ptr<Kernel> lower_group_norm_grad(const KernelRequest& request, const Launcher& launcher,
                                              const GroupNormGrad& op) {
  const bool is_affine_read = op.affine && (request.output_used[1] != 0 || request.output_used[2] != 0);
  const auto tiles = GroupTiles::of(request.inputs[0].shape, op.groups);
  if (tiles && !is_affine_read) return make_group_norm_grad_tile(launcher, *tiles, op.affine);
  const ColumnBlocks cut = norm_blocks(request);
  return make_kernel(
      [=](const Operands& bound) {
        auto* pairs = bound.scratch<ColumnPair>();
        const float* gamma = op.affine ? bound.in(3) : nullptr;
        run_group_norm(launcher, GroupNormBackward{cut, bound.in(0), bound.in(1), bound.in(2), gamma, bound.out(0),
                                                   pairs, op.groups});
        if (!op.affine || (bound.out(1) == nullptr && bound.out(2) == nullptr)) return;
        constexpr int kThreads = 128;
        launcher.for_each_block(cut.columns, kThreads, 0,
                                GroupNormAffineGradient{pairs, bound.in(1), bound.out(1), bound.out(2), cut.outer,
                                                        cut.pieces, cut.columns, op.groups});
      },
      static_cast<std::size_t>(cut.pairs()) * sizeof(ColumnPair));
}

/// GroupNorm, GroupNormPair, WeightNorm, GroupNormGrad, BatchNorm, BatchNormGrad.
template <class Launcher>
std::unique_ptr<Kernel> lower_norm(const KernelRequest& request, const Launcher& launcher) {
  require_f32(request);
  if (request.inputs[0].shape.elements() == 0) no_kernel(request, "nothing to normalise");
  if (is_idle(request)) return make_idle_kernel();
  if (const auto* op = std::get_if<GroupNorm>(&request.op)) return lower_group_norm(request, launcher, *op);
  if (const auto* op = std::get_if<GroupNormPair>(&request.op)) return lower_group_norm_pair(request, launcher, *op);
  if (std::holds_alternative<WeightNorm>(request.op)) return lower_weight_norm(request, launcher);
  if (const auto* op = std::get_if<GroupNormGrad>(&request.op)) return lower_group_norm_grad(request, launcher, *op);
  if (const auto* op = std::get_if<BatchNorm>(&request.op)) return lower_batch_norm(request, launcher, *op);
  if (const auto* op = std::get_if<BatchNormGrad>(&request.op)) return lower_batch_norm_grad(request, launcher, *op);
  no_kernel(request, "not a normalisation");
}

}  // namespace deq::cuda
