#pragma once

#include <memory>

#include "core/pixels.h"

namespace deq::cuda {

class Stream;

/// Images for kernels on `stream`, which must outlive the feed. Pixels travel on a stream of their own, through pinned
/// memory, into one of two buffers; a kernel on `stream` moves and normalises them.
std::unique_ptr<PixelFeed> make_pixel_feed(Stream& stream);

}  // namespace deq::cuda
