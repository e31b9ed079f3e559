#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace deq {

/// Names of the classes of the set called `name` (known_datasets) in the order of their numbers, without its files.
/// Empty for other names, and for sets whose folders or lists name the classes.
std::vector<std::string> fixed_class_names(std::string_view name);

}  // namespace deq
