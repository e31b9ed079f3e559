#pragma once

#include <algorithm>
#include <vector>

#include "core/cuda/column_sums.h"
#include "core/cuda/strided.h"

namespace deq::cuda {

struct SumTerms {
  const float* x;
  DEQ_HOST_DEVICE float start(Index, Index) const { return 0.0F; }
  DEQ_HOST_DEVICE void add(Index i, float, float& first, float&) const { first += x[i]; }
  DEQ_HOST_DEVICE ColumnPair finish(float, Index, const ColumnPair& sums) const { return sums; }
};

/// Rows in one piece: a block writes the results of its columns.
struct SumWhole {
  ColumnBlocks cut;
  SumTerms terms;
  float* y;

  template <class Block>
  DEQ_HOST_DEVICE void operator()(const Block& block) const {
    const Index o = block.index() / cut.tiles, tile = block.index() - o * cut.tiles;
    float* to = y + std::int64_t{o} * cut.columns;
    cut.sum(block, o, 0, tile, terms,
            [to](Index column, const ColumnPair& pair) { to[column] = static_cast<float>(pair.first); });
  }
};

/// Joins the pieces of one column, in order.
struct JoinPieces {
  const ColumnPair* pairs;
  float* y;
  Index pieces, columns;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index o = i / columns, column = i - o * columns;
    double total = 0;
    for (Index piece = 0; piece < pieces; ++piece)
      total += pairs[(std::int64_t{o} * pieces + piece) * columns + column].first;
    y[i] = static_cast<float>(total);
  }
};

/// One thread a result: for few terms, and for summed axes that alternate with kept ones.
struct SumStrided {
  const float* x;
  float* y;
  Strided<1> kept, summed;
  Index terms;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    Index first[1], at[1];
    kept.offsets(i, first);
    double total = 0;
    for (Index term = 0; term < terms; ++term) {
      summed.offsets(term, at);
      total += static_cast<double>(x[first[0] + at[0]]);
    }
    y[i] = static_cast<float>(total);
  }
};

/// A sum as [outer, summed, inner]; `is_plain` is false when kept and summed axes alternate more often.
struct SumExtents {
  std::int64_t outer = 1, summed = 1, inner = 1;
  bool is_plain = true;

  SumExtents(const Shape& shape, const Sum& op) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] == 1) continue;
      const bool is_summed = std::find(op.axes.begin(), op.axes.end(), axis) != op.axes.end();
      if (is_summed && inner != 1) is_plain = false;
      (is_summed ? summed : summed == 1 ? outer : inner) *= shape[axis];
    }
  }
};

template <class Launcher>
std::unique_ptr<Kernel> make_strided_sum(const Launcher& launcher, const Shape& shape, const Sum& op) {
  const auto strides = dense_strides(shape);
  Strided<1> kept, summed;
  std::int64_t results = 1, terms = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const bool is_summed = std::find(op.axes.begin(), op.axes.end(), axis) != op.axes.end();
    (is_summed ? summed : kept).add(shape[axis], {strides[static_cast<std::size_t>(axis)]});
    (is_summed ? terms : results) *= shape[axis];
  }
  return make_kernel([=](const Operands& bound) {
    launcher.for_each(results, SumStrided{bound.in(0), bound.out(0), kept, summed, narrow(terms)});
  });
}

/// Sum.
template <class Launcher>
std::unique_ptr<Kernel> lower_sum(const KernelRequest& request, const Launcher& launcher, const Sum& op) {
  if (is_idle(request)) return make_idle_kernel();
  require_f32(request);
  const Shape& shape = request.inputs[0].shape;
  const SumExtents extents(shape, op);
  constexpr std::int64_t kFewTerms = 32;
  if (!extents.is_plain || extents.summed <= kFewTerms) return make_strided_sum(launcher, shape, op);
  constexpr int kMostPieces = 32;
  const ColumnBlocks cut(extents.outer, extents.summed, extents.inner, kMostPieces);
  if (cut.pieces == 1) {
    return make_kernel([=](const Operands& bound) {
      launcher.for_each_block(cut.blocks(), cut.threads(), cut.shared_bytes(),
                              SumWhole{cut, {bound.in(0)}, bound.out(0)});
    });
  }
  return make_kernel(
      [=](const Operands& bound) {
        auto* pairs = bound.scratch<ColumnPair>();
        launcher.for_each_block(cut.blocks(), cut.threads(), cut.shared_bytes(),
                                SumColumns<SumTerms>{cut, {bound.in(0)}, pairs});
        launcher.for_each(std::int64_t{cut.outer} * cut.columns,
                          JoinPieces{pairs, bound.out(0), cut.pieces, cut.columns});
      },
      static_cast<std::size_t>(cut.pairs()) * sizeof(ColumnPair));
}

}  // namespace deq::cuda
