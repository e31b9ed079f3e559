#pragma once

#include <string>

#include "train/config_keys.h"

namespace deq {

/// The key of `assignment`, "section.key=value" as --set takes it.
/// Errors (RequestError): another form, an unknown key (names the nearest).
const ConfigKey& overridden_key(const std::string& assignment);

/// Puts the value of `assignment` into `config`: TOML, of a text also without its quotes. @returns overridden_key
/// Errors (RequestError): as overridden_key; a wrong type, a value out of range.
const ConfigKey& override_key(Config& config, const std::string& assignment);

}  // namespace deq
