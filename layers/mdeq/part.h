#pragma once

#include <cstdint>
#include <string_view>

namespace deq {

/// Where a parameter of an Mdeq belongs.
enum class MdeqPart : std::uint8_t {
  stem,
  transformation,  ///< f
  head,            ///< but for its last layer
  output,          ///< the last layer, whose shape follows the number of classes
};

/// The part that the parameter or running statistic called `name` belongs to, of either task. Names of no part of the
/// stem or of f count as the head's.
MdeqPart mdeq_part(std::string_view name);

}  // namespace deq
