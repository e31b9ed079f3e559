#pragma once

#include <cstdint>
#include <vector>

#include "core/shape.h"

namespace deq {

struct Reshape {
  Shape shape;
  bool operator==(const Reshape&) const = default;
};
/// Output axis i is input axis permutation[i].
struct Transpose {
  std::vector<int> permutation;
  bool operator==(const Transpose&) const = default;
};
struct Concat {
  int axis = 0;
  bool operator==(const Concat&) const = default;
};
/// Elements [begin, end) along `axis`.
struct Slice {
  int axis = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  bool operator==(const Slice&) const = default;
};
/// `before` and `after` zeros along `axis`; the transpose of Slice.
struct Pad {
  int axis = 0;
  std::int64_t before = 0;
  std::int64_t after = 0;
  bool operator==(const Pad&) const = default;
};
/// NumPy broadcast of x to `shape`.
struct BroadcastTo {
  Shape shape;
  bool operator==(const BroadcastTo&) const = default;
};
/// Sum over `axes` (sorted, unique, non-negative). keep_dims leaves extent 1 behind.
struct Sum {
  std::vector<int> axes;
  bool keep_dims = false;
  bool operator==(const Sum&) const = default;
};

}  // namespace deq
