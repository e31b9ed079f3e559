#pragma once

#include <string>
#include <string_view>

namespace deq {

/// `text` as the contents of an element or of an attribute in double quotes, in XML or HTML.
std::string escaped_markup(std::string_view text);

}  // namespace deq
