#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "core/backend.h"

namespace deq {

/// Milliseconds of one `replay` on `backend`, sorted. A device runs behind the host: several replays a measurement hide
/// the wait for it, which is no part of what is measured.
std::vector<double> replay_ms(const std::function<void()>& replay, Backend& backend, int repeats);

/// What a device reaches with nothing in its way, at the backend's precision.
struct ReachableRates {
  double bytes_per_s = 0;  ///< of long arrays that are read and written
  double flops_per_s = 0;  ///< of a product of large square matrices of f32

  /// Milliseconds for work that moves `bytes` and then does `flops`: the floor of a map, where nothing overlaps.
  [[nodiscard]] double floor_ms(double bytes, double flops) const {
    constexpr double kMs = 1e3;
    return kMs * (bytes / bytes_per_s + flops / flops_per_s);
  }
};

/// Medians of `repeats` runs. Needs 1 GiB on a GPU, 128 MiB elsewhere.
ReachableRates measure_rates(Backend& backend, int repeats);

}  // namespace deq
