#include <doctest/doctest.h>
#include <omp.h>

#include <cmath>

#include "core/random.h"
#include "tests/core/run_op.h"

using namespace deq;
using doctest::Approx;

namespace {

/// Double arithmetic over a handful of terms.
constexpr double kRounding = 1e-14;

Tensor scalar(double value) { return Tensor::scalar(value); }

Tensor one(double value) { return Tensor::of<double>({1}, {value}); }

Tensor seed_of(std::int64_t seed, std::int64_t counter) { return Tensor::of<std::int64_t>({2}, {seed, counter}); }

Tensor draw(const Random& op, std::int64_t seed, std::int64_t counter) {
  return run_op(op, {seed_of(seed, counter)})[0];
}

}  // namespace

TEST_CASE("cross entropy of equal logits is the logarithm of the number of classes") {
  const Tensor logits = Tensor::of<double>({2, 4}, {3, 3, 3, 3, 1000, 1000, 1000, 1000});
  const Tensor labels = Tensor::of<std::int32_t>({2}, {0, 3});
  const std::vector<Tensor> out = run_op(SoftmaxCrossEntropy{}, {logits, labels});
  for (const double loss : out[0].data<double>()) CHECK(loss == Approx(std::log(4.0)).epsilon(kRounding));
  for (const double p : out[1].data<double>()) CHECK(p == Approx(0.25).epsilon(kRounding));
}

TEST_CASE("cross entropy is -log softmax at the label and 0 for ignored labels") {
  const Tensor logits = Tensor::of<double>({3, 2}, {0, std::log(3.0), 0, std::log(3.0), 1, 2});
  const Tensor labels = Tensor::of<std::int32_t>({3}, {0, 1, -1});
  const std::vector<double> loss = doubles(run_op(SoftmaxCrossEntropy{}, {logits, labels})[0]);
  CHECK(loss[0] == Approx(std::log(4.0)).epsilon(kRounding));
  CHECK(loss[1] == Approx(std::log(4.0 / 3.0)).epsilon(kRounding));
  CHECK(loss[2] == 0);
}

TEST_CASE("gathering looks rows up and its transpose adds them back") {
  const Tensor table = counting({3, 2});
  const Tensor index = Tensor::of<std::int32_t>({3}, {2, 0, 2});
  CHECK(doubles(run_op(Gather{}, {table, index})[0]) == std::vector<double>{5, 6, 1, 2, 5, 6});
  CHECK(doubles(run_op(GatherGrad{3}, {counting({3, 2}), index})[0]) == std::vector<double>{3, 4, 0, 0, 6, 8});
}

TEST_CASE("one-hot rows of indices outside the classes are zero") {
  const Tensor index = Tensor::of<std::int32_t>({3}, {1, -1, 2});
  CHECK(doubles(run_op(OneHot{2}, {index})[0]) == std::vector<double>{0, 1, 0, 0, 0, 0});
}

TEST_CASE("an SGD step equals its formula by hand") {
  // d = 0.5 + 0.1 * 2 = 0.7, m' = 0.9 * 1 + 0.7 = 1.6.
  const auto step = [](bool is_nesterov) {
    return run_op(SgdUpdate{.momentum = 0.9, .weight_decay = 0.1, .nesterov = is_nesterov},
                  {one(2), one(0.5), one(1), scalar(0.01)});
  };
  CHECK(step(false)[0].data<double>()[0] == Approx(2 - 0.01 * 1.6).epsilon(kRounding));
  CHECK(step(false)[1].data<double>()[0] == Approx(1.6).epsilon(kRounding));
  CHECK(step(true)[0].data<double>()[0] == Approx(2 - 0.01 * (0.7 + 0.9 * 1.6)).epsilon(kRounding));
}

TEST_CASE("the first Adam step moves by the learning rate against the sign of the gradient") {
  for (const double grad : {-3.0, 0.2}) {
    const Tensor param = run_op(AdamUpdate{.eps = 0}, {one(1), one(grad), one(0), one(0), scalar(0.1), scalar(1)})[0];
    // 1 - beta2^1 = 0.001 is rounded at 1e-16 / 1e-3.
    CHECK(param.data<double>()[0] == Approx(1 - std::copysign(0.1, grad)).epsilon(1e-12));
  }
}

TEST_CASE("an Adam step equals its formula by hand, with either weight decay") {
  AdamUpdate op{.beta1 = 0.5, .beta2 = 0.75, .eps = 0.5, .weight_decay = 0.1};
  const std::vector<Tensor> operands{one(2), one(0.8), one(0.4), one(0.25), scalar(0.1), scalar(2)};
  // L2: gradient 1; m' = 0.7, v' = 0.4375, corrections 1 - 0.25 and 1 - 0.5625.
  std::vector<Tensor> out = run_op(op, operands);
  CHECK(out[0].data<double>()[0] ==
        Approx(2 - 0.1 * (0.7 / 0.75) / (std::sqrt(0.4375 / 0.4375) + 0.5)).epsilon(kRounding));
  CHECK(out[1].data<double>()[0] == Approx(0.7).epsilon(kRounding));
  CHECK(out[2].data<double>()[0] == Approx(0.4375).epsilon(kRounding));
  // Decoupled: gradient 0.8, parameter first scaled by 0.99; m' = 0.6, v' = 0.1875 + 0.16.
  op.decoupled = true;
  out = run_op(op, operands);
  const double denominator = std::sqrt(0.3475 / 0.4375) + 0.5;
  CHECK(out[0].data<double>()[0] == Approx(1.98 - 0.1 * (0.6 / 0.75) / denominator).epsilon(kRounding));
}

TEST_CASE("the generator gives the known answers of Philox4x32-10") {
  // Known-answer vectors of the Random123 distribution (kat_vectors, philox4x32 10).
  CHECK(philox({0, 0, 0, 0}, 0, 0) == RandomBlock{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U});
  constexpr std::uint32_t kOnes = 0xffffffffU;
  CHECK(philox({kOnes, kOnes, kOnes, kOnes}, kOnes, kOnes) ==
        RandomBlock{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU});
  CHECK(philox({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}, 0xa4093822U, 0x299f31d0U) ==
        RandomBlock{0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U});
}

TEST_CASE("a dropout mask drops its share and keeps the expectation") {
  const std::int64_t n = 40000;
  for (const double p : {0.1, 0.5, 0.8}) {
    const Tensor mask = draw({Distribution::bernoulli, p, 2, {n}}, 11, 5);
    std::int64_t dropped = 0;
    for (const double m : mask.data<double>()) {
      if (m == 0) {
        ++dropped;
      } else {
        REQUIRE(m == 1 / (1 - p));
      }
    }
    // Four standard deviations of a binomial count.
    CHECK(std::abs(static_cast<double>(dropped) - p * static_cast<double>(n)) <=
          4 * std::sqrt(p * (1 - p) * static_cast<double>(n)));
  }
  const Tensor none = draw({Distribution::bernoulli, 0, 2, {100}}, 11, 5);
  for (const double m : none.data<double>()) CHECK(m == 1);
}

TEST_CASE("normal draws have mean 0, variance 1 and normal tails") {
  const std::int64_t n = 40000;
  double sum = 0, squares = 0, beyond = 0;
  const Tensor values = draw({Distribution::normal, 0, 1, {n}}, 3, 0);
  for (const double x : values.data<double>()) {
    sum += x;
    squares += x * x;
    beyond += std::abs(x) > 1.959964 ? 1 : 0;
  }
  const double count = static_cast<double>(n);
  // Four standard errors: 1/sqrt(n), sqrt(2/n), sqrt(0.05 * 0.95 / n).
  CHECK(std::abs(sum / count) <= 4 / std::sqrt(count));
  CHECK(std::abs(squares / count - 1) <= 4 * std::sqrt(2 / count));
  CHECK(std::abs(beyond / count - 0.05) <= 4 * std::sqrt(0.05 * 0.95 / count));
}

TEST_CASE("equal seeds draw equal bits; another seed, counter or site draws others") {
  const Random op{Distribution::bernoulli, 0.5, 2, {64}};
  Random other_site = op;
  other_site.site = 3;
  const std::vector<double> first = doubles(draw(op, 11, 5));
  CHECK(doubles(draw(op, 11, 5)) == first);
  CHECK(doubles(draw(op, 12, 5)) != first);
  CHECK(doubles(draw(op, 11, 6)) != first);
  CHECK(doubles(draw(other_site, 11, 5)) != first);
}

TEST_CASE("draws depend neither on the number of threads nor on how many elements are drawn") {
  const int threads = omp_get_max_threads();
  const Random op{Distribution::normal, 0, 2, {101}};
  omp_set_num_threads(1);
  const std::vector<double> single = doubles(draw(op, 11, 5));
  omp_set_num_threads(3);
  const std::vector<double> several = doubles(draw(op, 11, 5));
  omp_set_num_threads(threads);
  CHECK(single == several);
  const std::vector<double> longer = doubles(draw({Distribution::normal, 0, 2, {3, 50}}, 11, 5));
  CHECK(std::equal(single.begin(), single.end(), longer.begin()));
  const RandomStream stream{11, 5, 2};
  for (std::int64_t i = 0; i < 101; ++i) CHECK(normal(stream, i) == single[static_cast<std::size_t>(i)]);
}
