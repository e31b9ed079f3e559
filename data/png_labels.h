#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "data/pixel_labels.h"

namespace deq {

/// The numbers that a PNG stores: grey values of 1 to 16 bits or palette indices, as they are. (Ordinary decoders would
/// replace palette indices by colours and spread grey values over 0 ... 255.)
/// Source: W3C PNG specification, sections 7 (scanlines), 9 (filters) and 11.2 (chunks).
/// Errors: BadImage with `name` when the file is damaged; RequestError when it is no PNG, in colour or interlaced.
PixelLabels decode_png_labels(std::span<const std::byte> bytes, const std::string& name);

}  // namespace deq
