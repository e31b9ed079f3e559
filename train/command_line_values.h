#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace deq {

// What the flags of the command line take. A value that is refused ends parsing with one line: flag, value,
// expectation.

/// A whole number in decimal from `least` to `most`; leading zeros mean nothing.
CLI::Validator whole_number(std::int64_t least, std::int64_t most);

/// A finite number of at least `least`, with a point for the decimals.
CLI::Validator finite_number(double least);

/// Anything but the empty text, which a variable of the shell that is not set becomes. `expected` is told on refusal.
CLI::Validator not_empty(const std::string& expected);

}  // namespace deq
