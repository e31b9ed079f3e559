#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace deq {

/// How one image is moved: pixel (y, x) of the result is pixel (y + shift_y, x + shift_x) of the image, black outside,
/// after mirroring left to right. That is zero-padding, cropping to the same size, and flipping.
struct Augmentation {
  int shift_y = 0;
  int shift_x = 0;
  bool is_flipped = false;
};

/// Which example is asked for, and what for. All that is random about it is a function of these values alone.
struct ExampleKey {
  std::int64_t index = 0;
  bool is_training = false;  ///< a bad file is replaced by the next good one; else it gives an example without labels
  bool is_augmented = false;
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
};

/// Label of what does not count.
inline constexpr std::int32_t kNoLabel = -1;

/// One example as it enters a batch. One object is used again and again, so that in the end nothing is allocated.
struct Example {
  std::span<const std::uint8_t> pixels{};  ///< of the set's image shape; lives as long as the set and this object
  std::vector<std::int32_t> labels{};      ///< of the set's label shape: classes, or kNoLabel
  Augmentation move{};                     ///< still to be done to the pixels
  bool is_bad = false;                     ///< its file was bad: see ExampleKey::is_training
  std::vector<std::uint8_t> memory{};      ///< of `pixels`, when they are made on demand
};

}  // namespace deq
