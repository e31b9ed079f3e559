#pragma once

#include "core/cuda/channel_quad.h"
#include "core/cuda/divider.h"
#include "core/cuda/lowering.h"

namespace deq::cuda {

/// Element i of a sum of images, each enlarged a whole number of times, by words of one or four channels.
template <class Word>
struct UpsampleSumElements {
  /// An image and how often its pixels appear in y.
  struct Addend {
    const Word* x = nullptr;
    Divider down, across;
    Index height = 1, width = 1;
  };
  static constexpr int kWidth = sizeof(Word) / sizeof(float);

  Addend addends[UpsampleSum::kMostInputs];
  int count = 0;
  Divider channels, width, height;  ///< of y; channels in words
  bool post_relu = false;
  Word* y = nullptr;

  DEQ_HOST_DEVICE void operator()(Index i) const {
    const Index pixel = channels.quotient(i), line = width.quotient(pixel), b = height.quotient(line);
    const Index c = i - pixel * channels.divisor, column = pixel - line * width.divisor,
                row = line - b * height.divisor;
    float total[kWidth] = {};
    for (int k = 0; k < count; ++k) {
      const Addend& from = addends[k];
      const Index at = (b * from.height + from.down.quotient(row)) * from.width + from.across.quotient(column);
      const Word word = from.x[at * channels.divisor + c];
      for (int e = 0; e < kWidth; ++e) total[e] += reinterpret_cast<const float*>(&word)[e];
    }
    Word result;
    for (int e = 0; e < kWidth; ++e)
      reinterpret_cast<float*>(&result)[e] = post_relu && total[e] < 0.0F ? 0.0F : total[e];
    y[i] = result;
  }
};

template <class Word, class Launcher>
std::unique_ptr<Kernel> make_upsample_sum(const KernelRequest& request, const Launcher& launcher, bool post_relu) {
  const Shape& y = request.outputs[0].shape;
  UpsampleSumElements<Word> sum;
  sum.channels = Divider(narrow(y[3] / sum.kWidth)), sum.width = Divider(narrow(y[2]));
  sum.height = Divider(narrow(y[1]));
  sum.post_relu = post_relu;
  for (const TensorType& x : request.inputs)
    sum.addends[sum.count++] = {nullptr, Divider(narrow(y[1] / x.shape[1])), Divider(narrow(y[2] / x.shape[2])),
                                narrow(x.shape[1]), narrow(x.shape[2])};
  return make_kernel([=, n = y.elements() / sum.kWidth](const Operands& bound) {
    UpsampleSumElements<Word> ready = sum;
    for (int k = 0; k < ready.count; ++k) ready.addends[k].x = bound.in<Word>(static_cast<std::size_t>(k));
    ready.y = bound.out<Word>(0);
    launcher.for_each(n, ready);
  });
}

template <class Launcher>
std::unique_ptr<Kernel> lower_upsample_sum(const KernelRequest& request, const Launcher& launcher,
                                           const UpsampleSum& op) {
  if (request.outputs[0].shape[3] % 4 == 0) return make_upsample_sum<ChannelQuad>(request, launcher, op.post_relu);
  return make_upsample_sum<float>(request, launcher, op.post_relu);
}

}  // namespace deq::cuda
