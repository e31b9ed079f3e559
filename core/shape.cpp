#include "core/shape.h"

#include <algorithm>
#include <limits>

namespace deq {

void Shape::refuse_axis(int axis) const { throw Error(concat("shape: ", *this, " has no axis ", axis)); }

void Shape::check_size() const {
  constexpr std::int64_t kMostElements = std::numeric_limits<std::int64_t>::max() / 8;  // of eight bytes each
  std::int64_t room = kMostElements;
  // Zeros count as ones: an empty shape must not overflow on the way to its product either.
  for (int i = 0; i < rank_; ++i) room /= std::max<std::int64_t>(extents_[static_cast<std::size_t>(i)], 1);
  check(room >= 1, "shape", *this, " has more elements than can be counted");
}

}  // namespace deq
