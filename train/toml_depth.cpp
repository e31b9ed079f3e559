#include "train/toml_depth.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace deq {
namespace {

/// Position after the string that begins at `at`; the end of the text when it is not closed.
std::size_t after_string(std::string_view toml, std::size_t at) {
  const char quote = toml[at];
  const std::string triple(3, quote);
  const bool is_long = toml.substr(at).starts_with(triple);
  const std::string_view closing = is_long ? std::string_view(triple) : toml.substr(at, 1);
  std::size_t i = at + closing.size();
  while (i < toml.size() && !toml.substr(i).starts_with(closing)) {
    if (!is_long && toml[i] == '\n') return i;
    i += quote == '"' && toml[i] == '\\' ? 2 : 1;
  }
  return std::min(i + closing.size(), toml.size());
}

}  // namespace

int line_of_deep_key(std::string_view toml) {
  int line = 1, parts = 1;
  std::size_t at = 0;
  while (at < toml.size()) {
    const char c = toml[at];
    const bool is_string = c == '"' || c == '\'';
    const std::size_t next = is_string  ? after_string(toml, at)
                             : c == '#' ? std::min(toml.find('\n', at), toml.size())
                                        : at + 1;
    if (c == '.' && ++parts > kMostKeyParts) return line;
    if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) parts = 1;
    line += static_cast<int>(std::ranges::count(toml.substr(at, next - at), '\n'));
    at = next;
  }
  return 0;
}

void refuse_deep_keys(std::string_view toml, std::string_view place) {
  const int line = line_of_deep_key(toml);
  require(line == 0, concat(place, ":", line), "a key of more than ", kMostKeyParts, " parts, expected section.key");
}

}  // namespace deq
