#include "data/json_depth.h"

namespace deq {

bool is_nested_too_deep(std::string_view json) {
  int levels = 0;
  bool is_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (is_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      is_string = !is_string;
    } else if (!is_string && (c == '[' || c == '{')) {
      if (++levels > kMostJsonLevels) return true;
    } else if (!is_string && (c == ']' || c == '}')) {
      --levels;
    }
  }
  return false;
}

}  // namespace deq
