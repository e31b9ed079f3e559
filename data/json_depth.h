#pragma once

#include <string_view>

namespace deq {

/// Most objects and arrays that lie within each other in any file read here.
inline constexpr int kMostJsonLevels = 64;

/// True when brackets of `json` that are no part of a string lie deeper within each other than kMostJsonLevels. Such a
/// text can be parsed, but printing a value of it takes more stack than a thread has.
bool is_nested_too_deep(std::string_view json);

}  // namespace deq
