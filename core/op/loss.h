#pragma once

#include <cstdint>

namespace deq {

/// table [V,D], index i32[..] -> [..,D].
struct Gather {
  bool operator==(const Gather&) const = default;
};
/// Transpose of Gather in the table: g [..,D], index -> [rows,D].
struct GatherGrad {
  std::int64_t rows = 0;
  bool operator==(const GatherGrad&) const = default;
};
/// index i32[..] -> f32[..,classes]; indices outside [0, classes) give a zero row.
struct OneHot {
  std::int64_t classes = 0;
  bool operator==(const OneHot&) const = default;
};
/// logits [B,K], labels i32[B] -> loss[B] = -log softmax(logits)[label], probability [B,K].
/// Labels outside [0,K) are ignored: their loss is 0 (and their gradient too).
struct SoftmaxCrossEntropy {
  bool operator==(const SoftmaxCrossEntropy&) const = default;
};

}  // namespace deq
