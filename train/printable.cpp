#include "train/printable.h"

namespace deq {

std::string printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code != 0x7f)
      out += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else
      (out += "\\x").append({kDigits[code >> 4], kDigits[code & 15]});
  }
  return out;
}

}  // namespace deq
