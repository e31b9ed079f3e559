#include "train/message_line.h"

#include <cctype>

#include "train/printable.h"

namespace deq {
namespace {

constexpr std::size_t kMostShown = 200;
constexpr std::string_view kEllipsis = "...";

/// True inside a character of UTF-8.
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

bool is_letter_or_digit(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::string shortened(std::string_view text) {
  if (text.size() <= kMostShown) return std::string(text);
  std::size_t head = kMostShown / 2, tail = text.size() - kMostShown / 2;
  while (head > 0 && is_continuation(text[head])) --head;
  while (tail < text.size() && is_continuation(text[tail])) ++tail;
  return std::string(text.substr(0, head)).append(kEllipsis).append(text.substr(tail));
}

/// Quotes stand beside words, apostrophes inside them.
bool is_opening(std::string_view text, std::size_t at) {
  return text[at] == '\'' && (at == 0 || !is_letter_or_digit(text[at - 1]));
}
bool is_closing(std::string_view text, std::size_t at) {
  return text[at] == '\'' && (at + 1 == text.size() || !is_letter_or_digit(text[at + 1]));
}

/// Where what begins at `at` ends: behind the closing quote, at the next opening one, or at a space.
std::size_t end_of_piece(std::string_view text, std::size_t at, bool& has_closing) {
  std::size_t end = at + 1;
  if (has_closing && is_opening(text, at)) {
    while (end < text.size() && !is_closing(text, end)) ++end;
    if (end < text.size()) return end + 1;
    has_closing = false;  // none for later ones either
    end = at + 1;
  }
  while (end < text.size() && text[end] != ' ' && !(has_closing && is_opening(text, end))) ++end;
  return end;
}

}  // namespace

std::string message_line(std::string_view message) {
  std::string out;
  bool has_closing = true;
  for (std::size_t at = 0; at < message.size();) {
    const std::size_t end = end_of_piece(message, at, has_closing);
    out += shortened(message.substr(at, end - at));
    at = end;
  }
  return printable(out);
}

}  // namespace deq
