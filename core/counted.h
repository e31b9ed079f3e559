#pragma once

#include <string>
#include <string_view>

#include "core/error.h"

namespace deq {

/// Number and noun, for messages: "1 step", "1.5 steps", "0 classes", "2 entries". `one` is the noun for one thing,
/// with a plural in -s, in -es after s, x, ch and sh, or in -ies for a y after a consonant.
template <class Number>
std::string counted(Number count, std::string_view one) {
  if (count == Number{1}) return concat(count, ' ', one);
  const bool has_y = one.size() >= 2 && one.ends_with('y') &&
                     std::string_view("aeiou").find(one[one.size() - 2]) == std::string_view::npos;
  if (has_y) return concat(count, ' ', one.substr(0, one.size() - 1), "ies");
  const bool hisses = one.ends_with('s') || one.ends_with('x') || one.ends_with("ch") || one.ends_with("sh");
  return concat(count, ' ', one, hisses ? "es" : "s");
}

}  // namespace deq
