#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace deq {

/// Number and noun, for messages: "1 step", "2 steps", "0 classes". `one` is the noun for one thing, with a plural in
/// -s, or in -es after s, x, ch and sh.
inline std::string counted(std::int64_t count, std::string_view one) {
  const bool hisses = one.ends_with('s') || one.ends_with('x') || one.ends_with("ch") || one.ends_with("sh");
  return std::to_string(count) + " " + std::string(one) + (count == 1 ? "" : hisses ? "es" : "s");
}

}  // namespace deq
