#pragma once

#include <cstddef>
#include <vector>

#include "core/backend.h"
#include "core/fixed_point.h"

namespace deq {

/// Milliseconds of one replay of a map, sorted. A device runs behind the host: several replays a measurement hide the
/// wait for it, which is no part of the map.
std::vector<double> replay_ms(FixedPointMap& map, Backend& backend, int repeats);

/// What a device reaches with nothing in its way, at the backend's precision.
struct ReachableRates {
  double bytes_per_s = 0;  ///< of an operation that reads and writes long arrays
  double flops_per_s = 0;  ///< of a product of large square matrices

  /// Milliseconds for work that moves `bytes` and then does `flops`: the floor of a map, where nothing overlaps.
  [[nodiscard]] double floor_ms(double bytes, double flops) const {
    constexpr double kMs = 1e3;
    return kMs * (bytes / bytes_per_s + flops / flops_per_s);
  }
};

/// Medians of `repeats` runs. Needs 1 GiB on a GPU, 128 MiB elsewhere.
ReachableRates measure_rates(Backend& backend, int repeats);

}  // namespace deq
