#include <algorithm>
#include <cmath>

#include "core/elementwise.h"
#include "core/reference/kernel.h"

namespace deq::reference {
namespace {

/// x [batch, inner, channels] seen by a normalisation.
struct Extents {
  std::int64_t batch = 0, inner = 0, channels = 0;

  [[nodiscard]] std::int64_t elements() const { return batch * inner * channels; }
};

/// Set of elements normalised together: samples [b0, b1), all inner positions, channels [c0, c1).
struct Cell {
  std::int64_t b0, b1, c0, c1;
};

Extents extents_of(const Shape& x) {
  const std::int64_t channels = x[-1], batch = x[0];
  const std::int64_t rest = batch * channels;
  return {batch, rest == 0 ? 0 : x.elements() / rest, channels};
}

/// Calls use(flat index, channel) for every element of `cell`.
template <class Use>
void for_each_in(const Extents& e, const Cell& cell, Use use) {
  for (std::int64_t b = cell.b0; b < cell.b1; ++b) {
    for (std::int64_t i = 0; i < e.inner; ++i) {
      for (std::int64_t c = cell.c0; c < cell.c1; ++c) use((b * e.inner + i) * e.channels + c, c);
    }
  }
}

double count_of(const Extents& e, const Cell& cell) {
  return static_cast<double>((cell.b1 - cell.b0) * e.inner * (cell.c1 - cell.c0));
}

struct Moments {
  double mean = 0, variance = 0;
};

/// Mean and biased variance, in two passes, of value(flat index) over `cell`.
template <class Element>
Moments moments_of(const Extents& e, const Cell& cell, Element value) {
  const double count = count_of(e, cell);
  Moments moments;
  for_each_in(e, cell, [&](auto i, auto) { moments.mean += value(i) / count; });
  for_each_in(e, cell, [&](auto i, auto) {
    const double centred = value(i) - moments.mean;
    moments.variance += centred * centred / count;
  });
  return moments;
}

/// Addresses of a normalisation's derivative; gamma, dgamma and dbeta are null when it is not affine.
struct GradOperands {
  const double *x, *g, *gamma;
  double *dx, *dgamma, *dbeta;
};

/// dx = rstd (h - mean(h) - n mean(h n)), h = g gamma, n = (x - mean) rstd; adds this cell's share to dgamma, dbeta.
void add_cell_grad(const Extents& e, const Cell& cell, double mean, double rstd, const GradOperands& at) {
  const double count = count_of(e, cell);
  const auto scaled = [&](std::int64_t i, std::int64_t c) { return at.g[i] * (at.gamma ? at.gamma[c] : 1.0); };
  double mean_h = 0, mean_hn = 0;
  for_each_in(e, cell, [&](auto i, auto c) {
    const double normal = (at.x[i] - mean) * rstd;
    mean_h += scaled(i, c) / count;
    mean_hn += scaled(i, c) * normal / count;
    if (at.dgamma) at.dgamma[c] += at.g[i] * normal;
    if (at.dbeta) at.dbeta[c] += at.g[i];
  });
  for_each_in(e, cell,
              [&](auto i, auto c) { at.dx[i] = rstd * (scaled(i, c) - mean_h - (at.x[i] - mean) * rstd * mean_hn); });
}

Cell group_cell(const Extents& e, int groups, std::int64_t sample, std::int64_t group) {
  const std::int64_t width = e.channels / groups;
  return {sample, sample + 1, group * width, (group + 1) * width};
}

Cell channel_cell(const Extents& e, std::int64_t channel) { return {0, e.batch, channel, channel + 1}; }

/// Inputs of a GroupNorm that are there, null otherwise.
struct GroupNormInputs {
  const double *x, *gamma, *beta, *scale, *addend, *residual;
};

GroupNormInputs inputs_of(const GroupNorm& op, const Operands& at) {
  std::size_t next = 0;
  const auto take = [&](bool is_there) { return is_there ? at.in(next++) : nullptr; };
  GroupNormInputs in{};
  in.x = take(true);
  in.gamma = take(op.affine);
  in.beta = take(op.affine);
  in.scale = take(op.has_scale);
  in.addend = take(op.has_addend);
  in.residual = take(op.has_residual);
  return in;
}

}  // namespace

Body lower(const GroupNorm& op, const KernelRequest& request) {
  const Extents e = extents_of(request.inputs[0].shape);
  return [op, e](const Operands& at) {
    const GroupNormInputs in = inputs_of(op, at);
    constexpr UnaryFunctor<UnaryFn::relu> kRelu;
    const auto value = [&](std::int64_t i) {
      const std::int64_t sample = i / (e.inner * e.channels);
      const double x = in.scale ? in.x[i] * in.scale[sample * e.channels + i % e.channels] : in.x[i];
      const double sum = in.addend ? x + in.addend[i] : x;
      return op.pre_relu ? kRelu(sum) : sum;
    };
    for (std::int64_t cell_index = 0; cell_index < e.batch * op.groups; ++cell_index) {
      const Cell cell = group_cell(e, op.groups, cell_index / op.groups, cell_index % op.groups);
      const Moments moments = moments_of(e, cell, value);
      const double rstd = 1.0 / std::sqrt(moments.variance + op.eps);
      at.out(1)[2 * cell_index] = moments.mean;
      at.out(1)[2 * cell_index + 1] = rstd;
      for_each_in(e, cell, [&](auto i, auto c) {
        double y = (value(i) - moments.mean) * rstd;
        if (op.affine) y = y * in.gamma[c] + in.beta[c];
        if (op.has_residual) y += in.residual[i];
        at.out()[i] = op.post_relu ? kRelu(y) : y;
      });
    }
  };
}

Body lower(const WeightNorm&, const KernelRequest& request) {
  const std::int64_t rows = request.inputs[0].shape[0], columns = request.inputs[0].shape.elements() / rows;
  return [rows, columns](const Operands& at) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const double* v = at.in(0) + row * columns;
      double squares = 0;
      for (std::int64_t i = 0; i < columns; ++i) squares += v[i] * v[i];
      const double norm = std::sqrt(squares), ratio = at.in(1)[row] / norm;
      for (std::int64_t i = 0; i < columns; ++i) at.out()[row * columns + i] = v[i] * ratio;
      at.out(1)[row] = ratio;
      at.out(2)[row] = norm;
    }
  };
}

Body lower(const GroupNormGrad& op, const KernelRequest& request) {
  const Extents e = extents_of(request.inputs[0].shape);
  return [op, e](const Operands& at) {
    GradOperands grad{at.in(0), at.in(2), nullptr, at.out(), nullptr, nullptr};
    if (op.affine) {
      grad.gamma = at.in(3);
      grad.dgamma = at.out(1);
      grad.dbeta = at.out(2);
      std::fill_n(grad.dgamma, e.channels, 0.0);
      std::fill_n(grad.dbeta, e.channels, 0.0);
    }
    for (std::int64_t i = 0; i < e.batch * op.groups; ++i) {
      const double* stats = at.in(1) + 2 * i;
      add_cell_grad(e, group_cell(e, op.groups, i / op.groups, i % op.groups), stats[0], stats[1], grad);
    }
  };
}

Body lower(const BatchNorm& op, const KernelRequest& request) {
  const Extents e = extents_of(request.inputs[0].shape);
  return [op, e](const Operands& at) {
    const double* x = at.in(0);
    for (std::int64_t channel = 0; channel < e.channels; ++channel) {
      const Cell cell = channel_cell(e, channel);
      const Moments moments = moments_of(e, cell, [x](std::int64_t i) { return x[i]; });
      const double rstd = 1.0 / std::sqrt(moments.variance + op.eps);
      at.out(1)[channel] = moments.mean;
      at.out(2)[channel] = moments.variance;
      for_each_in(e, cell, [&](auto i, auto c) {
        const double y = (x[i] - moments.mean) * rstd;
        at.out()[i] = op.affine ? y * at.in(1)[c] + at.in(2)[c] : y;
      });
    }
  };
}

Body lower(const BatchNormGrad& op, const KernelRequest& request) {
  const Extents e = extents_of(request.inputs[0].shape);
  return [op, e](const Operands& at) {
    GradOperands grad{at.in(0), at.in(3), nullptr, at.out(), nullptr, nullptr};
    if (op.affine) {
      grad.gamma = at.in(4);
      grad.dgamma = at.out(1);
      grad.dbeta = at.out(2);
      std::fill_n(grad.dgamma, e.channels, 0.0);
      std::fill_n(grad.dbeta, e.channels, 0.0);
    }
    for (std::int64_t channel = 0; channel < e.channels; ++channel) {
      const double rstd = 1.0 / std::sqrt(at.in(2)[channel] + op.eps);
      add_cell_grad(e, channel_cell(e, channel), at.in(1)[channel], rstd, grad);
    }
  };
}

}  // namespace deq::reference
