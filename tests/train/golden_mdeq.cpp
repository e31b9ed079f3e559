#include "tests/train/golden_mdeq.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>

namespace deq::test {

std::optional<std::filesystem::path> golden_mdeq_folder() {
  const char* root = std::getenv("DEQ_REFERENCE_DIR");
  if (root == nullptr) {
    std::cout << "SKIPPED: DEQ_REFERENCE_DIR is not set\n";
    return {};
  }
  return std::filesystem::path(root) / "mdeq-mini";
}

std::string golden_mdeq_config(const std::string& solver) {
  return R"([model]
name = "mdeq-mini"
channels = [8, 16, 16, 24]
num_blocks = [1, 2, 1, 1]
big_kernels = [1, 2, 0, 0]
head_channels = [2, 4, 4, 8]
final_channels = 24
expansion = 2
downsample_times = 2
num_groups = 8
dropout = 0.0
weight_norm = true
block_gn_affine = true
fuse_gn_affine = true
post_gn_affine = true
classes = 7

[data]
name = "folder"
image = [64, 96]

[train]
unroll_steps = 3

[solver]
)" + solver;
}

Tensor to_nhwc(const Tensor& nchw) {
  const Shape& s = nchw.shape();
  Tensor out(DType::f32, {s[0], s[2], s[3], s[1]});
  const auto from = nchw.data<float>();
  const auto to = out.data<float>();
  std::size_t k = 0;
  for (std::int64_t b = 0; b < s[0]; ++b)
    for (std::int64_t pixel = 0; pixel < s[2] * s[3]; ++pixel)
      for (std::int64_t c = 0; c < s[1]; ++c)
        to[k++] = from[static_cast<std::size_t>((b * s[1] + c) * s[2] * s[3] + pixel)];
  return out;
}

std::vector<double> elements_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) {
    const auto data = tensor.data<double>();
    return {data.begin(), data.end()};
  }
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

double max_difference(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? HUGE_VAL : difference;
  }
  return largest;
}

double max_difference(const Tensor& a, const Tensor& b) { return max_difference(elements_of(a), elements_of(b)); }

double relative_difference(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = elements_of(a);
  const std::vector<double> y = elements_of(b);
  if (x.size() != y.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - y[i]) * (x[i] - y[i]);
    size += y[i] * y[i];
  }
  return std::sqrt(difference / size);
}

double check_gradients(const Tensors& gradients, const Tensors& stored) {
  constexpr double kLimit = 1e-3;
  // The gradient of a bias before a batch normalisation is zero; what is stored for it, below 1e-15, and what float32
  // computes is rounding.
  constexpr double kStoredZero = 1e-12;
  constexpr double kZeroLimit = 1e-6;
  double worst = 0;
  for (const auto& [name, truth] : stored) {
    CAPTURE(name);
    REQUIRE(gradients.contains(name));
    const std::vector<double> zeros(static_cast<std::size_t>(truth.shape().elements()), 0.0);
    if (max_difference(elements_of(truth), zeros) < kStoredZero) {
      CHECK(max_difference(elements_of(gradients.at(name)), zeros) < kZeroLimit);
      continue;
    }
    const double difference = relative_difference(gradients.at(name), truth);
    CHECK(difference < kLimit);
    worst = std::max(worst, difference);
  }
  return worst;
}

}  // namespace deq::test
