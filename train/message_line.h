#pragma once

#include <string>
#include <string_view>

namespace deq {

/// `message` as one line for stderr: control characters as `printable` writes them, and of what is quoted in it or
/// holds no space (names, paths, arguments) at most about 200 characters, the middle left out.
std::string message_line(std::string_view message);

}  // namespace deq
