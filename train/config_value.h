#pragma once

#include <toml++/toml.h>

#include <string>

#include "core/error.h"
#include "train/config_keys.h"

namespace deq {

/// Where a value came from and which key it is for, for messages.
struct ValueOrigin {
  std::string place;  ///< "file.toml:12" or "--set"
  const ConfigKey* key = nullptr;
};

template <class... Parts>
[[noreturn]] void refuse_value(const ValueOrigin& origin, const Parts&... parts) {
  throw RequestError(concat(origin.place, ": key '", origin.key->name, "' ", parts...));
}

/// Writes the value of `node` into the field. Errors: RequestError for a wrong type, a number outside the range of the
/// key, a string that is not among its choices.
void assign_value(const Field& field, const ValueOrigin& origin, const toml::node& node);

/// The value as TOML.
std::string value_text(const Field& field);

}  // namespace deq
