#include "data/transform.h"

#include <doctest/doctest.h>

#include <map>

namespace deq {
namespace {

TEST_CASE("augmentation reaches every shift and both flips evenly and nothing else") {
  constexpr int kDraws = 16200;
  std::map<int, int> ys;
  std::map<int, int> xs;
  int flips = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Augmentation drawn = draw_augmentation(1, 2, i);
    ++ys[drawn.shift_y];
    ++xs[drawn.shift_x];
    flips += drawn.is_flipped ? 1 : 0;
  }
  // Six standard deviations of a count of 1/9 and of 1/2.
  constexpr int kShiftTolerance = 240;
  constexpr int kFlipTolerance = 382;
  for (const auto& counts : {ys, xs}) {
    CHECK(counts.begin()->first == -kCropPadding);
    CHECK(counts.rbegin()->first == kCropPadding);
    for (const auto& [shift, count] : counts) CHECK(std::abs(count - kDraws / 9) < kShiftTolerance);
  }
  CHECK(std::abs(flips - kDraws / 2) < kFlipTolerance);
}

TEST_CASE("augmentation depends on seed, epoch and index") {
  const auto same = [](std::uint64_t seed, std::int64_t epoch, std::int64_t offset) {
    int count = 0;
    for (int i = 0; i < 100; ++i) {
      const auto a = draw_augmentation(1, 2, i);
      const auto b = draw_augmentation(seed, epoch, i + offset);
      count += a.shift_y == b.shift_y && a.shift_x == b.shift_x && a.is_flipped == b.is_flipped ? 1 : 0;
    }
    return count;
  };
  CHECK(same(1, 2, 0) == 100);
  CHECK(same(2, 2, 0) < 10);
  CHECK(same(1, 3, 0) < 10);
  CHECK(same(1, 2, 1) < 10);
}

TEST_CASE("normalising moves, mirrors and pads with black") {
  const std::vector<std::uint8_t> pixels = {0, 51, 102, 153, 204, 255};  // 2 x 3, one channel
  const Normalisation normalisation{.mean = {0.5F}, .std = {0.5F}};
  const Shape shape{2, 3, 1};
  std::vector<float> out(6);
  const auto close = [&](const std::vector<float>& expected) {
    for (std::size_t i = 0; i < 6; ++i) CHECK(out[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  };
  normalise_image(pixels, shape, normalisation, {}, out);
  close({-1, -0.6F, -0.2F, 0.2F, 0.6F, 1});
  normalise_image(pixels, shape, normalisation, {.shift_y = 0, .shift_x = 0, .is_flipped = true}, out);
  close({-0.2F, -0.6F, -1, 1, 0.6F, 0.2F});
  normalise_image(pixels, shape, normalisation, {.shift_y = 1, .shift_x = -1, .is_flipped = false}, out);
  close({-1, 0.2F, 0.6F, -1, -1, -1});
}

}  // namespace
}  // namespace deq
