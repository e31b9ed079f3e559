#pragma once

#include <cstdint>
#include <string_view>

namespace deq {

/// Most updates that an inverse estimate keeps: two for each of the 100,000 steps that a configuration can ask for.
inline constexpr std::int64_t kMostKept = 200000;

/// Updates that an estimate keeps of the `most` that a solve can make: `memory`, 0 for all of them.
/// @param method  for messages
/// @throws RequestError  memory is negative, or more than kMostKept would be kept
int kept_updates(std::string_view method, int memory, std::int64_t most);

}  // namespace deq
