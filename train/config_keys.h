#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "train/config.h"

namespace deq {

/// Where a key lives inside a Config, with its type.
using Field = std::variant<bool*, int*, std::int64_t*, double*, std::string*, std::vector<int>*, std::vector<double>*>;

/// One key of a configuration: the only place that knows its name, its type and what it may hold.
struct ConfigKey {
  std::string_view name;  ///< "section.key"
  Field (*field)(Config&);
  double minimum = -std::numeric_limits<double>::infinity();  ///< of a number, and of each entry of a list
  double maximum = std::numeric_limits<double>::infinity();
  bool excludes_minimum = false;
  std::vector<std::string_view> choices = {};  ///< of a string; empty: anything

  [[nodiscard]] std::string_view section() const { return name.substr(0, name.find('.')); }
  [[nodiscard]] std::string_view leaf() const { return name.substr(name.find('.') + 1); }
};

/// Every key, section by section in the order in which it is written.
std::span<const ConfigKey> config_keys();

/// Null when there is no such key.
const ConfigKey* find_config_key(std::string_view name);

/// The key most like `name` ("section.key"): same key in another section first, then the smallest edit distance.
std::string_view nearest_config_key(std::string_view name);

/// True for the names of `cli.md`: exact, shine, shine-fallback, shine-refine-3, jfb, neumann-5, ...
bool is_estimator_name(std::string_view name);

/// "exact, shine, ...", for messages.
std::string_view estimator_names();

}  // namespace deq
