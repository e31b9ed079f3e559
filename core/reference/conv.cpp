#include <algorithm>

#include "core/reference/kernel.h"

namespace deq::reference {
namespace {

/// Extents of one convolution: x [b,h,w,in], weight [out,in/groups,kh,kw], y [b,oh,ow,out].
struct Extents {
  std::int64_t batch, height, width, in;
  std::int64_t out, kernel_h, kernel_w;
  std::int64_t out_h, out_w;
  Conv2d conv;

  [[nodiscard]] std::int64_t x_elements() const { return batch * height * width * in; }
  [[nodiscard]] std::int64_t w_elements() const { return out * (in / conv.groups) * kernel_h * kernel_w; }
  [[nodiscard]] std::int64_t y_elements() const { return batch * out_h * out_w * out; }
};

Extents extents_of(const Conv2d& conv, const Shape& x, const Shape& w, const Shape& y) {
  return {x[0], x[1], x[2], x[3], w[0], w[2], w[3], y[1], y[2], conv};
}

/// Calls use(x index, w index, y index) for every product y += x * w of the convolution. The three kernels differ only
/// in which of the three they accumulate, so this loop is the definition of all of them.
template <class Use>
void for_each_product(const Extents& e, Use use) {
  const std::int64_t in_per_group = e.in / e.conv.groups, out_per_group = e.out / e.conv.groups;
  for (std::int64_t b = 0; b < e.batch; ++b) {
    for (std::int64_t i = 0; i < e.out_h * e.out_w; ++i) {
      const std::int64_t top = i / e.out_w * e.conv.stride - e.conv.pad;
      const std::int64_t left = i % e.out_w * e.conv.stride - e.conv.pad;
      for (std::int64_t tap = 0; tap < e.kernel_h * e.kernel_w; ++tap) {
        const std::int64_t row = top + tap / e.kernel_w, column = left + tap % e.kernel_w;
        if (row < 0 || row >= e.height || column < 0 || column >= e.width) continue;
        const std::int64_t pixel = ((b * e.height + row) * e.width + column) * e.in;
        for (std::int64_t o = 0; o < e.out; ++o) {
          const std::int64_t group = o / out_per_group;
          for (std::int64_t c = 0; c < in_per_group; ++c) {
            use(pixel + group * in_per_group + c, (o * in_per_group + c) * e.kernel_h * e.kernel_w + tap,
                (b * e.out_h * e.out_w + i) * e.out + o);
          }
        }
      }
    }
  }
}

}  // namespace

Body lower(const Conv2d& op, const KernelRequest& request) {
  const Extents e = extents_of(op, request.inputs[0].shape, request.inputs[1].shape, request.outputs[0].shape);
  return [e](const Operands& at) {
    const double *x = at.in(0), *w = at.in(1);
    double* y = at.out();
    std::fill_n(y, e.y_elements(), 0.0);
    for_each_product(e, [=](auto xi, auto wi, auto yi) { y[yi] += x[xi] * w[wi]; });
  };
}

Body lower(const Conv2dInputGrad& op, const KernelRequest& request) {
  const Extents e = extents_of(op.conv, request.outputs[0].shape, request.inputs[1].shape, request.inputs[0].shape);
  return [e](const Operands& at) {
    const double *g = at.in(0), *w = at.in(1);
    double* dx = at.out();
    std::fill_n(dx, e.x_elements(), 0.0);
    for_each_product(e, [=](auto xi, auto wi, auto yi) { dx[xi] += g[yi] * w[wi]; });
  };
}

Body lower(const Conv2dWeightGrad& op, const KernelRequest& request) {
  const Extents e = extents_of(op.conv, request.inputs[0].shape, request.outputs[0].shape, request.inputs[1].shape);
  return [e](const Operands& at) {
    const double *x = at.in(0), *g = at.in(1);
    double* dw = at.out();
    std::fill_n(dw, e.w_elements(), 0.0);
    for_each_product(e, [=](auto xi, auto wi, auto yi) { dw[wi] += x[xi] * g[yi]; });
  };
}

}  // namespace deq::reference
