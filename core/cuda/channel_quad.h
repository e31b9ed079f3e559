#pragma once

namespace deq::cuda {

/// Four neighbouring channels, read and written at once.
struct alignas(16) ChannelQuad {
  float at[4] = {};
};

}  // namespace deq::cuda
