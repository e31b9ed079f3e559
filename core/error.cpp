#include "core/error.h"

namespace deq {
namespace {

std::string without_nul(std::string text) {
  constexpr std::string_view kNul("\0", 1);
  for (std::size_t at = text.find(kNul); at != std::string::npos; at = text.find(kNul, at))
    text.replace(at, kNul.size(), "\\x00");
  return text;
}

}  // namespace

Error::Error(const std::string& message) : std::runtime_error(without_nul(message)) {}

}  // namespace deq
