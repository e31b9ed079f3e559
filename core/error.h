#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace deq {

/// A call that cannot be carried out. The message names the place, what was found and what was expected; NUL
/// characters in it, at which what() would end, are written as \x00.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message);
};

/// The request itself was wrong: a configuration, a file or an argument that is not what it should be.
/// `deq` ends with status 2 on it, with 1 on any other Error.
class RequestError : public Error {
 public:
  using Error::Error;
};

/// Joins anything streamable into one string.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws Error("`where`: `parts...`") unless `holds`.
template <class... Parts>
void check(bool holds, std::string_view where, const Parts&... parts) {
  if (!holds) [[unlikely]]
    throw Error(concat(where, ": ", parts...));
}

/// As `check`, for requests from outside: throws RequestError.
template <class... Parts>
void require(bool holds, std::string_view where, const Parts&... parts) {
  if (!holds) [[unlikely]]
    throw RequestError(concat(where, ": ", parts...));
}

}  // namespace deq
