#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace deq {

/// Fewest insertions, deletions and replacements that turn `a` into `b` (Levenshtein distance).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The only candidate that begins with `name`, else the one with the smallest edit distance to it, the first of equals;
/// empty when there are none.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace deq
