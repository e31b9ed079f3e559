#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/pixels.h"

namespace deq {

using Augmentation = PixelMove;

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
