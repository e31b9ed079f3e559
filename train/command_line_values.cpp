#include "train/command_line_values.h"

#include <charconv>
#include <cmath>

#include "core/error.h"

namespace deq {
namespace {

/// False unless all of `text` is one number that T can hold.
template <class T>
bool read_whole(const std::string& text, T& value) {
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stopped == end;
}

}  // namespace

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const auto read = [=](std::string& text) -> std::string {
    std::int64_t value = 0;
    if (!read_whole(text, value) || value < least || value > most)
      return concat("'", text, "' is no whole number from ", least, " to ", most);
    text = std::to_string(value);  // CLI11 would take a leading 0 for octal
    return {};
  };
  return {read, concat(least, "..", most)};
}

CLI::Validator finite_number(double least) {
  const auto read = [=](std::string& text) -> std::string {
    double value = 0;
    const bool is_finite = read_whole(text, value) && std::isfinite(value);
    return is_finite && value >= least ? "" : concat("'", text, "' is no finite number of at least ", least);
  };
  return {read, concat("at least ", least)};
}

CLI::Validator not_empty(const std::string& expected) {
  return {[=](std::string& text) { return text.empty() ? "is empty, expected: " + expected : std::string(); }, ""};
}

}  // namespace deq
