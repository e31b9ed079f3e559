#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace deq {

/// Fewest insertions, deletions and replacements that turn `a` into `b` (Levenshtein distance).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate with the smallest edit distance to `name`, the first of equals, of those that begin with it where
/// there are any; empty when there are no candidates.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace deq
