#pragma once

#include <string_view>

namespace deq {

/// Most parts of a dotted key: `solver.name` has two.
inline constexpr int kMostKeyParts = 64;

/// Line, from 1, of the first key or table of more than kMostKeyParts parts, 0 where there is none. Each part is a
/// table within the one before, and the parser's tables take a call within a call to release.
int line_of_deep_key(std::string_view toml);

/// Errors: RequestError naming `place` and the line of such a key.
void refuse_deep_keys(std::string_view toml, std::string_view place);

}  // namespace deq
