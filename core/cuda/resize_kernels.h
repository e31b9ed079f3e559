#pragma once

#include "core/cuda/channel_quad.h"
#include "core/cuda/divider.h"
#include "core/cuda/lowering.h"

namespace deq::cuda {

/// One axis of a resize from `from` to `to` elements.
struct ResizeAxis {
  Index from = 1, to = 1;
  bool is_nearest = true, align_corners = false;

  /// Where target `i` reads: (1 - weight) x[low] + weight x[high].
  struct Tap {
    Index low, high;
    float weight;
  };
  DEQ_HOST_DEVICE Tap tap(Index i) const {
    if (is_nearest) {
      const auto low = static_cast<Index>(std::int64_t{i} * from / to);
      return {low, low, 0.0F};
    }
    double source = 0;
    if (!align_corners) {
      source = (i + 0.5) * (static_cast<double>(from) / to) - 0.5;
      if (source < 0) source = 0;
      if (source > from - 1) source = from - 1;
    } else if (to > 1) {
      source = static_cast<double>(i) * (from - 1) / (to - 1);
    }
    const auto low = static_cast<Index>(source);
    return {low, low + 1 < from ? low + 1 : low, static_cast<float>(source - low)};
  }
  /// Weight with which target `i` reads source `s`.
  DEQ_HOST_DEVICE float weight(Index i, Index s) const {
    const Tap at = tap(i);
    return (at.low == s ? 1.0F - at.weight : 0.0F) + (at.high == s ? at.weight : 0.0F);
  }
  /// Targets outside [first, last] do not read source `s`. Wider than need be by what rounding may move.
  struct Range {
    Index first, last;
  };
  DEQ_HOST_DEVICE Range readers(Index s) const {
    // Target i reads near i * ratio: with a step of one source either way, and clamped ends.
    const double ratio =
        align_corners ? (to > 1 ? static_cast<double>(from - 1) / (to - 1) : 0.0) : static_cast<double>(from) / to;
    if (ratio == 0) return {0, to - 1};
    const double low = (s - 1.5) / ratio - 1, high = (s + 2) / ratio + 1;
    return {low < 0 || s == 0 ? 0 : static_cast<Index>(low),
            high > to - 1 || s == from - 1 ? to - 1 : static_cast<Index>(high)};
  }
};

/// y [B,to_h,to_w,C] from x [B,from_h,from_w,C].
struct ResizeElements {
  const float* x;
  float* y;
  ResizeAxis rows, columns;
  Index channels;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = i / channels, c = i - pixel * channels;
    const Index line = pixel / columns.to, b = line / rows.to;
    const ResizeAxis::Tap row = rows.tap(line - b * rows.to), column = columns.tap(pixel - line * columns.to);
    const auto at = [&](Index h, Index w) { return x[((b * rows.from + h) * columns.from + w) * channels + c]; };
    if (rows.is_nearest) {
      y[i] = at(row.low, column.low);
      return;
    }
    const float top_left = at(row.low, column.low), bottom_left = at(row.high, column.low);
    const float top = top_left + column.weight * (at(row.low, column.high) - top_left);
    const float bottom = bottom_left + column.weight * (at(row.high, column.high) - bottom_left);
    y[i] = top + row.weight * (bottom - top);
  }
};

/// The transpose, as a sum over the targets that read each source: no two threads write the same element.
struct ResizeGradElements {
  const float* g;
  float* x;
  ResizeAxis rows, columns;
  Index channels;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = i / channels, c = i - pixel * channels;
    const Index line = pixel / columns.from, b = line / rows.from;
    const Index h = line - b * rows.from, w = pixel - line * columns.from;
    const ResizeAxis::Range across = columns.readers(w), down = rows.readers(h);
    float total = 0;
    for (Index row = down.first; row <= down.last; ++row) {
      const float row_weight = rows.weight(row, h);
      if (row_weight == 0) continue;
      for (Index column = across.first; column <= across.last; ++column) {
        const float weight = row_weight * columns.weight(column, w);
        if (weight != 0) total += weight * g[((b * rows.to + row) * columns.to + column) * channels + c];
      }
    }
    x[i] = total;
  }
};

/// Axes of an image [B,from_h,from_w,C], C counted in words, and one that has every pixel `down` x `across` times.
struct WholeUpsampling {
  Divider channels, to_w, to_h, across, down;
  Index from_h, from_w;
};

/// The larger image from the smaller one, by words of one or several channels.
template <class Word>
struct UpsampleElements {
  const Word* x;
  Word* y;
  WholeUpsampling axes;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = axes.channels.quotient(i), line = axes.to_w.quotient(pixel), b = axes.to_h.quotient(line);
    const Index row = axes.down.quotient(line - b * axes.to_h.divisor);
    const Index column = axes.across.quotient(pixel - line * axes.to_w.divisor);
    y[i] = x[((b * axes.from_h + row) * axes.from_w + column - pixel) * axes.channels.divisor + i];
  }
};
/// The transpose: sums over the repetitions of each pixel.
struct UpsampleGradElements {
  const float* g;
  float* x;
  Divider channels, from_w;
  Index across, down;
  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = channels.quotient(i), line = from_w.quotient(pixel), c = i - pixel * channels.divisor;
    const Index to_w = from_w.divisor * across, column = (pixel - line * from_w.divisor) * across;
    const float* from = g + (line * down * to_w + column) * channels.divisor + c;
    float total = 0;
    for (Index row = 0; row < down; ++row)
      for (Index k = 0; k < across; ++k) total += from[(row * to_w + k) * channels.divisor];
    x[i] = total;
  }
};

/// True when every pixel of `from` [B,H,W,C] is repeated a whole number of times in `to`.
template <class Resizing>
bool is_whole_upsampling(const Resizing& op, const Shape& from, const Shape& to) {
  return op.mode == ResizeMode::nearest && to[1] % from[1] == 0 && to[2] % from[2] == 0;
}

/// Functor of a resize between `small` (read by Resize) and `large` (written by it), or its transpose.
template <class Functor, class Launcher, class Resizing>
std::unique_ptr<Kernel> make_resize(const KernelRequest& request, const Launcher& launcher, const Resizing& op,
                                    const Shape& from, const Shape& to) {
  const bool is_nearest = op.mode == ResizeMode::nearest;
  const ResizeAxis rows{narrow(from[1]), narrow(to[1]), is_nearest, op.align_corners && !is_nearest};
  const ResizeAxis columns{narrow(from[2]), narrow(to[2]), is_nearest, op.align_corners && !is_nearest};
  return make_kernel([=, n = request.outputs[0].shape.elements(), channels = narrow(from[3])](const Operands& bound) {
    launcher.for_each(n, Functor{bound.in(0), bound.out(0), rows, columns, channels});
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_resize(const KernelRequest& request, const Launcher& launcher, const Resize& op) {
  const Shape &from = request.inputs[0].shape, &to = request.outputs[0].shape;
  if (is_whole_upsampling(op, from, to)) {
    const auto by = [](std::int64_t n) { return Divider(narrow(n)); };
    const bool is_by_quads = from[3] % 4 == 0;
    const std::int64_t words = is_by_quads ? from[3] / 4 : from[3];
    const WholeUpsampling axes{by(words),           by(to[2]),       by(to[1]),      by(to[2] / from[2]),
                               by(to[1] / from[1]), narrow(from[1]), narrow(from[2])};
    return make_kernel([=, n = to.elements()](const Operands& bound) {
      if (is_by_quads)
        launcher.for_each(n / 4,
                          UpsampleElements<ChannelQuad>{bound.in<ChannelQuad>(0), bound.out<ChannelQuad>(0), axes});
      else
        launcher.for_each(n, UpsampleElements<float>{bound.in(0), bound.out(0), axes});
    });
  }
  return make_resize<ResizeElements>(request, launcher, op, request.inputs[0].shape, request.outputs[0].shape);
}

template <class Launcher>
std::unique_ptr<Kernel> lower_resize_grad(const KernelRequest& request, const Launcher& launcher,
                                          const ResizeGrad& op) {
  const Shape &from = request.outputs[0].shape, &to = request.inputs[0].shape;
  if (is_whole_upsampling(op, from, to)) {
    const Divider channels(narrow(from[3])), width(narrow(from[2]));
    const Index across = narrow(to[2] / from[2]), down = narrow(to[1] / from[1]);
    return make_kernel([=, n = from.elements()](const Operands& bound) {
      launcher.for_each(n, UpsampleGradElements{bound.in(0), bound.out(0), channels, width, across, down});
    });
  }
  return make_resize<ResizeGradElements>(request, launcher, op, request.outputs[0].shape, request.inputs[0].shape);
}

}  // namespace deq::cuda
