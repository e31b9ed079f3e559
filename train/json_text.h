#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace deq {

/// An answer as indented text that ends its last line. Bytes that are not UTF-8, which names of files may hold, become
/// U+FFFD each.
inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace deq
