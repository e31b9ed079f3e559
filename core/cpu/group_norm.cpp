#include <cmath>
#include <type_traits>

#include "core/cpu/bound_kernel.h"
#include "core/cpu/column_sums.h"
#include "core/cpu/norm.h"
#include "core/cpu/parallel.h"
#include "core/cpu/row_norm.h"
#include "core/rounded_product.h"

// Group normalisation of [B,..,C]. Groups hold few channels (3 or 15), so nothing runs along a group: sums are taken
// per channel, joined per group, and the result is spread to one factor and one offset per channel, so that both passes
// run along whole rows.

namespace deq::cpu {

namespace {

struct Layout {
  std::int64_t batch = 0, rows = 0, channels = 0, groups = 0;

  Layout(const Shape& shape, int group_count)
      : batch(shape[0]), rows(shape.elements() / (shape[0] * shape[-1])), channels(shape[-1]), groups(group_count) {}
  [[nodiscard]] std::int64_t width() const { return channels / groups; }
  [[nodiscard]] std::int64_t elements() const { return batch * rows * channels; }
  /// Layer norm: every sample is one row of one group.
  [[nodiscard]] bool is_of_rows() const { return rows == 1 && groups == 1; }
};

/// Bytes of one sample's scratch: sums and `arrays` float arrays over the channels, in whole cache lines.
std::int64_t scratch_bytes(std::int64_t channels, std::int64_t arrays) {
  const std::int64_t bytes =
      ColumnSums::bytes_for(channels) + arrays * channels * static_cast<std::int64_t>(sizeof(float));
  return (bytes + 63) / 64 * 64;
}

/// Addresses of one GroupNorm; absent operands are null.
struct ForwardOperands {
  const float *x = nullptr, *gamma = nullptr, *beta = nullptr, *scale = nullptr, *addend = nullptr, *residual = nullptr;
  float *y = nullptr, *stats = nullptr;
};

/// What is normalised of a sample: relu(x * scale + addend), each part if asked for. Element i is of channel c.
template <bool kHasScale, bool kHasAddend, bool kPreRelu>
struct NormInput {
  const float *x, *scale, *addend;
  float operator()(std::int64_t i, std::int64_t c) const {
    float value = x[i];
    if constexpr (kHasScale) value = rounded_product(value, scale[c]);
    if constexpr (kHasAddend) value += addend[i];
    if constexpr (kPreRelu) value = value < 0.0F ? 0.0F : value;
    return value;
  }
};

/// Mean and 1/sqrt(var + eps) of each group from channel sums of (v - shift) and (v - shift)^2, spread over channels:
/// y = scale[c] v + offset[c]. Channels join by the parallel variance formula, so that nothing cancels.
void spread_statistics(const Layout& layout, double eps, const ColumnSums& sums, const ForwardOperands& operands,
                       std::int64_t sample, const float* shift, float* scale, float* offset) {
  const auto rows = static_cast<double>(layout.rows);
  const double count = rows * static_cast<double>(layout.width());
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const std::int64_t begin = group * layout.width(), end = begin + layout.width();
    double total = 0, spread = 0;
    for (std::int64_t c = begin; c < end; ++c) total += static_cast<double>(shift[c]) * rows + sums.first()[c];
    const double mean = total / count;
    for (std::int64_t c = begin; c < end; ++c) {
      const double shifted = sums.first()[c] / rows, distance = static_cast<double>(shift[c]) + shifted - mean;
      spread += sums.second()[c] - rows * shifted * shifted + rows * distance * distance;
    }
    const double rstd = 1 / std::sqrt(std::max(0.0, spread / count) + eps);
    for (std::int64_t c = begin; c < end; ++c) {
      const double factor = operands.gamma == nullptr ? rstd : rstd * static_cast<double>(operands.gamma[c]);
      const double constant = operands.beta == nullptr ? 0.0 : static_cast<double>(operands.beta[c]);
      scale[c] = static_cast<float>(factor);
      offset[c] = static_cast<float>(constant - mean * factor);
    }
    if (operands.stats != nullptr) {
      float* stats = operands.stats + (sample * layout.groups + group) * 2;
      stats[0] = static_cast<float>(mean);
      stats[1] = static_cast<float>(rstd);
    }
  }
}

template <bool kHasResidual, bool kPostRelu, class Input>
void normalise(const Layout& layout, const Input& input, const float* residual, const float* scale, const float* offset,
               float* y) {
  const std::int64_t channels = layout.channels;
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    const std::int64_t at = row * channels;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      float value = input(at + c, c) * scale[c] + offset[c];
      if constexpr (kHasResidual) value += residual[at + c];
      if constexpr (kPostRelu) value = value < 0.0F ? 0.0F : value;
      y[at + c] = value;
    }
  }
}

template <bool kHasScale, bool kHasAddend, bool kPreRelu, bool kHasResidual, bool kPostRelu>
void group_norm_sample(const Layout& layout, double eps, const ForwardOperands& operands, std::int64_t sample,
                       std::byte* scratch) {
  const std::int64_t channels = layout.channels, at = sample * layout.rows * channels;
  ColumnSums sums(scratch, channels);
  auto* shift = reinterpret_cast<float*>(scratch + ColumnSums::bytes_for(channels));
  float *scale = shift + channels, *offset = scale + channels;
  const NormInput<kHasScale, kHasAddend, kPreRelu> input{operands.x + at,
                                                         kHasScale ? operands.scale + sample * channels : nullptr,
                                                         kHasAddend ? operands.addend + at : nullptr};
  // Sums are taken about the first row: as safe as a second pass, for the price of one subtraction.
  for (std::int64_t c = 0; c < channels; ++c) shift[c] = input(c, c);
  sums.assign(0, layout.rows, [&input, shift](std::int64_t i, std::int64_t c) {
    const float difference = input(i, c) - shift[c];
    return ColumnTerms{difference, difference * difference};
  });
  spread_statistics(layout, eps, sums, operands, sample, shift, scale, offset);
  if (operands.y == nullptr) return;
  normalise<kHasResidual, kPostRelu>(layout, input, kHasResidual ? operands.residual + at : nullptr, scale, offset,
                                     operands.y + at);
}

using SampleFunction = void (*)(const Layout&, double, const ForwardOperands&, std::int64_t, std::byte*);

/// Calls `use` with std::bool_constant<flag>.
template <class Use>
auto with_flag(bool flag, const Use& use) {
  return flag ? use(std::true_type{}) : use(std::false_type{});
}

void normalise_one_row(const Layout& layout, double eps, const ForwardOperands& operands, std::int64_t sample,
                       std::byte* /*scratch*/) {
  const std::int64_t at = sample * layout.channels;
  normalise_row(operands.x + at, layout.channels, eps, operands.gamma, operands.beta,
                operands.y == nullptr ? nullptr : operands.y + at,
                operands.stats == nullptr ? nullptr : operands.stats + 2 * sample);
}

SampleFunction sample_function(const GroupNorm& op, const Layout& layout) {
  const bool is_fused = op.has_scale || op.has_addend || op.pre_relu || op.has_residual || op.post_relu;
  if (layout.is_of_rows() && !is_fused) return &normalise_one_row;
  return with_flag(op.has_scale, [&](auto scale) {
    return with_flag(op.has_addend, [&](auto addend) {
      return with_flag(op.pre_relu, [&](auto pre_relu) {
        return with_flag(op.has_residual, [&](auto residual) {
          return with_flag(op.post_relu, [&](auto post_relu) -> SampleFunction {
            return &group_norm_sample<scale(), addend(), pre_relu(), residual(), post_relu()>;
          });
        });
      });
    });
  });
}

/// Addresses of one GroupNormGrad; absent operands are null.
struct BackwardOperands {
  const float *x = nullptr, *stats = nullptr, *g = nullptr, *gamma = nullptr;
  float* dx = nullptr;
};

/// With h = gamma g: dx = rstd (h - mean(h) - xhat mean(h xhat)) = scale g + slope x + offset per channel.
void spread_gradient(const Layout& layout, const ColumnSums& sums, const BackwardOperands& operands, const float* stats,
                     float* scale, float* slope, float* offset) {
  const double count = static_cast<double>(layout.rows) * static_cast<double>(layout.width());
  for (std::int64_t group = 0; group < layout.groups; ++group) {
    const auto mean = static_cast<double>(stats[2 * group]), rstd = static_cast<double>(stats[2 * group + 1]);
    const std::int64_t begin = group * layout.width(), end = begin + layout.width();
    double mean_h = 0, mean_h_xhat = 0;
    for (std::int64_t c = begin; c < end; ++c) {
      const double factor = operands.gamma == nullptr ? 1.0 : static_cast<double>(operands.gamma[c]);
      mean_h += factor * sums.first()[c] / count;
      mean_h_xhat += factor * sums.second()[c] * rstd / count;
    }
    for (std::int64_t c = begin; c < end; ++c) {
      const double factor = operands.gamma == nullptr ? 1.0 : static_cast<double>(operands.gamma[c]);
      scale[c] = static_cast<float>(rstd * factor);
      slope[c] = static_cast<float>(-rstd * rstd * mean_h_xhat);
      offset[c] = static_cast<float>(rstd * (rstd * mean_h_xhat * mean - mean_h));
    }
  }
}

void group_norm_grad_sample(const Layout& layout, const BackwardOperands& operands, std::int64_t sample,
                            std::byte* scratch) {
  const std::int64_t channels = layout.channels, at = sample * layout.rows * channels;
  ColumnSums sums(scratch, channels);
  auto* scale = reinterpret_cast<float*>(scratch + ColumnSums::bytes_for(channels));
  float *slope = scale + channels, *offset = slope + channels;
  const float *x = operands.x + at, *g = operands.g + at, *stats = operands.stats + sample * layout.groups * 2;
  float* mean = slope;
  for (std::int64_t c = 0; c < channels; ++c) mean[c] = stats[2 * (c / layout.width())];
  sums.assign(0, layout.rows, [x, g, mean](std::int64_t i, std::int64_t c) {
    return ColumnTerms{g[i], g[i] * (x[i] - mean[c])};
  });
  if (operands.dx == nullptr) return;
  spread_gradient(layout, sums, operands, stats, scale, slope, offset);
  float* dx = operands.dx + at;
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    const std::int64_t first = row * channels;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      dx[first + c] = scale[c] * g[first + c] + (slope[c] * x[first + c] + offset[c]);
    }
  }
}

void row_gradient_sample(const Layout& layout, const BackwardOperands& operands, std::int64_t sample,
                         std::byte* /*scratch*/) {
  const std::int64_t at = sample * layout.channels;
  if (operands.dx == nullptr) return;
  row_norm_gradient(operands.x + at, operands.stats + 2 * sample, operands.g + at, operands.gamma, layout.channels,
                    operands.dx + at);
}

/// dgamma = sum over samples of rstd * sum(g (x - mean)), dbeta = sum of g, in order of samples.
void reduce_affine_gradient(const Layout& layout, const float* stats, std::byte* scratch, std::int64_t stride,
                            float* dgamma, float* dbeta) {
  for (std::int64_t c = 0; c < layout.channels; ++c) {
    double total_gamma = 0, total_beta = 0;
    for (std::int64_t sample = 0; sample < layout.batch; ++sample) {
      const ColumnSums sums(scratch + sample * stride, layout.channels);
      const float rstd = stats[2 * (sample * layout.groups + c / layout.width()) + 1];
      total_gamma += static_cast<double>(rstd) * sums.second()[c];
      total_beta += sums.first()[c];
    }
    if (dgamma != nullptr) dgamma[c] = static_cast<float>(total_gamma);
    if (dbeta != nullptr) dbeta[c] = static_cast<float>(total_beta);
  }
}

}  // namespace

std::unique_ptr<Kernel> lower_group_norm(const KernelRequest& request, const GroupNorm& op) {
  const Layout layout(request.inputs[0].shape, op.groups);
  const std::int64_t stride = scratch_bytes(layout.channels, 3);
  const auto operands_of = [op](const Operands& bound) {
    std::size_t next = 0;
    ForwardOperands operands{.x = bound.in(next++)};
    if (op.affine) operands.gamma = bound.in(next++), operands.beta = bound.in(next++);
    if (op.has_scale) operands.scale = bound.in(next++);
    if (op.has_addend) operands.addend = bound.in(next++);
    if (op.has_residual) operands.residual = bound.in(next++);
    operands.y = bound.out(0), operands.stats = bound.out(1);
    return operands;
  };
  const auto run_some = [eps = op.eps, layout, operands_of, run_sample = sample_function(op, layout)](
                            const Operands& bound, std::int64_t first, std::int64_t last, std::byte* scratch) {
    const ForwardOperands operands = operands_of(bound);
    for (std::int64_t sample = first; sample < last; ++sample) run_sample(layout, eps, operands, sample, scratch);
  };
  const auto run_all = [layout, stride, run_some](const Operands& bound) {
    parallel_for(layout.batch, layout.elements(), [&](std::int64_t sample) {
      run_some(bound, sample, sample + 1, bound.scratch<std::byte>() + sample * stride);
    });
  };
  return make_sample_kernel(run_all, static_cast<std::size_t>(layout.batch * stride),
                            SampleRun{layout.batch, run_some, static_cast<std::size_t>(stride)});
}

std::unique_ptr<Kernel> lower_group_norm_grad(const KernelRequest& request, const GroupNormGrad& op) {
  const Layout layout(request.inputs[0].shape, op.groups);
  const std::int64_t stride = scratch_bytes(layout.channels, 3);
  const auto operands_of = [op](const Operands& bound) {
    return BackwardOperands{.x = bound.in(0),
                            .stats = bound.in(1),
                            .g = bound.in(2),
                            .gamma = op.affine ? bound.in(3) : nullptr,
                            .dx = bound.out(0)};
  };
  const bool joins_samples = op.affine && (request.output_used[1] != 0 || request.output_used[2] != 0);
  const auto run_sample = layout.is_of_rows() && !joins_samples ? &row_gradient_sample : &group_norm_grad_sample;
  const auto run_some = [layout, operands_of, run_sample](const Operands& bound, std::int64_t first, std::int64_t last,
                                                          std::byte* scratch) {
    const BackwardOperands operands = operands_of(bound);
    for (std::int64_t sample = first; sample < last; ++sample) run_sample(layout, operands, sample, scratch);
  };
  const auto run_all = [joins_samples, layout, stride, run_some](const Operands& bound) {
    auto* scratch = bound.scratch<std::byte>();
    parallel_for(layout.batch, layout.elements(),
                 [&](std::int64_t sample) { run_some(bound, sample, sample + 1, scratch + sample * stride); });
    if (joins_samples) reduce_affine_gradient(layout, bound.in(1), scratch, stride, bound.out(1), bound.out(2));
  };
  return make_sample_kernel(
      run_all, static_cast<std::size_t>(layout.batch * stride),
      SampleRun{joins_samples ? std::int64_t{0} : layout.batch, run_some, static_cast<std::size_t>(stride)});
}

}  // namespace deq::cpu
