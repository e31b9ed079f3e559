#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/tabular.h"

namespace deq {

/// A set whose features that are multiples of one another in every sample (words that occur in one text alone) are one.
///
/// A linear model sees the weights w of such features along one direction only, their unit vector a: of n features m
/// directions are left, whose matrix Q [n, m] has orthonormal columns, and X w = (X Q) (Q^T w). One penalty for all
/// weights does not tell a basis from another, nor do L-BFGS from a multiple of the identity or conjugate gradients: in
/// these coordinates they take the same steps, on vectors of length m + 1. The last coordinate is along the part of the
/// first weights that no sample sees; it has no entry in the data, only a penalty.
struct MergedFeatures {
  TabularSet set;                       ///< m + 1 features, or those of the set as they were when m = n
  std::vector<std::int32_t> direction;  ///< [n] of each feature, -1 for one without entries; empty when m = n
  std::vector<double> share;            ///< [n] its element of the unit vector; empty when m = n

  /// @param w  [n]
  /// @returns [m + 1] the coordinates of w, as above; w itself when m = n
  [[nodiscard]] std::vector<double> coordinates(std::span<const double> w) const;
};

/// Features of both parts count; multiples are found to 1e-12.
MergedFeatures merge_proportional_features(const TabularSet& set);

}  // namespace deq
