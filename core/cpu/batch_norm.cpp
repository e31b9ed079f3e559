#include <cmath>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/column_sums.h"
#include "core/cpu/norm.h"
#include "core/cpu/parallel.h"

// Batch normalisation of [..,C] in training mode. Rows are cut into at most 64 blocks that do not depend on the number
// of threads; each block keeps its sums in the workspace, and the blocks are added in order.

namespace deq::cpu {

namespace {

struct Layout {
  std::int64_t rows = 0, channels = 0, rows_per_block = 0, blocks = 0, block_bytes = 0;

  explicit Layout(const Shape& shape) : rows(shape.elements() / shape[-1]), channels(shape[-1]) {
    constexpr std::int64_t kMostBlocks = 64;
    rows_per_block = std::max((rows + kMostBlocks - 1) / kMostBlocks, (kSerialElements / 2 + channels - 1) / channels);
    blocks = (rows + rows_per_block - 1) / rows_per_block;
    block_bytes = (ColumnSums::bytes_for(channels) + 63) / 64 * 64;
  }
  /// Sums of every block, totals of both sums, and three float arrays over the channels.
  [[nodiscard]] std::size_t workspace_bytes() const {
    return static_cast<std::size_t>(blocks * block_bytes + channels * (2 * 8 + 3 * 4));
  }
};

/// The workspace, by parts.
struct Scratch {
  std::byte* blocks;
  double *first, *second;
  float *a, *b, *c;

  Scratch(const Layout& layout, std::byte* memory)
      : blocks(memory),
        first(reinterpret_cast<double*>(memory + layout.blocks * layout.block_bytes)),
        second(first + layout.channels),
        a(reinterpret_cast<float*>(second + layout.channels)),
        b(a + layout.channels),
        c(b + layout.channels) {}
};

/// Sums of both terms over all rows into scratch.first and scratch.second.
template <class Terms>
void sum_columns(const Layout& layout, const Scratch& scratch, const Terms& terms) {
  parallel_for(layout.blocks, layout.rows * layout.channels, [&](std::int64_t block) {
    ColumnSums sums(scratch.blocks + block * layout.block_bytes, layout.channels);
    sums.assign(block * layout.rows_per_block, std::min(layout.rows, (block + 1) * layout.rows_per_block), terms);
  });
  std::fill(scratch.first, scratch.first + 2 * layout.channels, 0.0);
  for (std::int64_t block = 0; block < layout.blocks; ++block) {
    const ColumnSums sums(scratch.blocks + block * layout.block_bytes, layout.channels);
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      scratch.first[c] += sums.first()[c];
      scratch.second[c] += sums.second()[c];
    }
  }
}

/// y[row, c] = value(row * channels + c, c) over all rows.
template <class Value>
void map_rows(const Layout& layout, float* y, const Value& value) {
  parallel_for(layout.blocks, layout.rows * layout.channels, [&](std::int64_t block) {
    const std::int64_t end = std::min(layout.rows, (block + 1) * layout.rows_per_block);
    for (std::int64_t row = block * layout.rows_per_block; row < end; ++row) {
      const std::int64_t at = row * layout.channels;
#pragma omp simd
      for (std::int64_t c = 0; c < layout.channels; ++c) y[at + c] = value(at + c, c);
    }
  });
}

void run_batch_norm(const Layout& layout, const BatchNorm& op, const Operands& operands) {
  const float* x = operands.in(0);
  const float *gamma = op.affine ? operands.in(1) : nullptr, *beta = op.affine ? operands.in(2) : nullptr;
  float *y = operands.out(0), *mean = operands.out(1), *variance = operands.out(2);
  const Scratch scratch(layout, operands.scratch<std::byte>());
  float *shift = scratch.a, *scale = scratch.b, *offset = scratch.c;
  std::copy(x, x + layout.channels, shift);
  sum_columns(layout, scratch, [x, shift](std::int64_t i, std::int64_t c) {
    const float difference = x[i] - shift[c];
    return ColumnTerms{difference, difference * difference};
  });
  const auto rows = static_cast<double>(layout.rows);
  for (std::int64_t c = 0; c < layout.channels; ++c) {
    const double shifted = scratch.first[c] / rows, centre = static_cast<double>(shift[c]) + shifted;
    const double spread = std::max(0.0, scratch.second[c] / rows - shifted * shifted);
    const double factor = (gamma == nullptr ? 1.0 : static_cast<double>(gamma[c])) / std::sqrt(spread + op.eps);
    scale[c] = static_cast<float>(factor);
    offset[c] = static_cast<float>((beta == nullptr ? 0.0 : static_cast<double>(beta[c])) - centre * factor);
    if (mean != nullptr) mean[c] = static_cast<float>(centre);
    if (variance != nullptr) variance[c] = static_cast<float>(spread);
  }
  if (y == nullptr) return;
  map_rows(layout, y, [=](std::int64_t i, std::int64_t c) { return x[i] * scale[c] + offset[c]; });
}

void run_batch_norm_grad(const Layout& layout, const BatchNormGrad& op, const Operands& operands) {
  const float *x = operands.in(0), *mean = operands.in(1), *variance = operands.in(2), *g = operands.in(3);
  const float* gamma = op.affine ? operands.in(4) : nullptr;
  float* dx = operands.out(0);
  const Scratch scratch(layout, operands.scratch<std::byte>());
  float *scale = scratch.a, *slope = scratch.b, *offset = scratch.c;
  sum_columns(layout, scratch, [x, g, mean](std::int64_t i, std::int64_t c) {
    return ColumnTerms{g[i], g[i] * (x[i] - mean[c])};
  });
  float* dgamma = op.affine ? operands.out(1) : nullptr;
  float* dbeta = op.affine ? operands.out(2) : nullptr;
  const auto rows = static_cast<double>(layout.rows);
  for (std::int64_t c = 0; c < layout.channels; ++c) {
    const double rstd = 1 / std::sqrt(static_cast<double>(variance[c]) + op.eps);
    const double mean_g = scratch.first[c] / rows, mean_g_xhat = scratch.second[c] * rstd / rows;
    // dx = gamma rstd (g - mean(g) - xhat mean(g xhat)) = scale g + slope x + offset.
    const double factor = rstd * (gamma == nullptr ? 1.0 : static_cast<double>(gamma[c]));
    scale[c] = static_cast<float>(factor);
    slope[c] = static_cast<float>(-factor * rstd * mean_g_xhat);
    offset[c] = static_cast<float>(factor * (rstd * mean_g_xhat * static_cast<double>(mean[c]) - mean_g));
    if (dgamma != nullptr) dgamma[c] = static_cast<float>(scratch.second[c] * rstd);
    if (dbeta != nullptr) dbeta[c] = static_cast<float>(scratch.first[c]);
  }
  if (dx == nullptr) return;
  map_rows(layout, dx, [=](std::int64_t i, std::int64_t c) { return scale[c] * g[i] + (slope[c] * x[i] + offset[c]); });
}

}  // namespace

std::unique_ptr<Kernel> lower_batch_norm(const KernelRequest& request, const BatchNorm& op) {
  const Layout layout(request.inputs[0].shape);
  return make_kernel([layout, op](const Operands& operands) { run_batch_norm(layout, op, operands); },
                     layout.workspace_bytes());
}

std::unique_ptr<Kernel> lower_batch_norm_grad(const KernelRequest& request, const BatchNormGrad& op) {
  const Layout layout(request.inputs[0].shape);
  return make_kernel([layout, op](const Operands& operands) { run_batch_norm_grad(layout, op, operands); },
                     layout.workspace_bytes());
}

}  // namespace deq::cpu
