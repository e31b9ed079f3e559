#pragma once

#include <string>
#include <string_view>

namespace deq {

/// `text` with control characters written as \n, \t or \x1b: names out of files stay on one line of a message, and
/// command no terminal.
std::string printable(std::string_view text);

}  // namespace deq
