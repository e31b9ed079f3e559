#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "data/json_depth.h"

namespace deq {

/// An answer as indented text that ends its last line. Bytes that are not UTF-8, which names of files may hold, become
/// U+FFFD each.
inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

/// What a file holds. Discarded when that is no JSON, or nested deeper than any file of this program.
template <class Json = nlohmann::json>
Json parse_json(std::string_view text) {
  if (is_nested_too_deep(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace deq
