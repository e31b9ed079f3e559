#pragma once

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "train/tune_trace.h"

namespace deq {

/// Which loss is held against the best one found, and against which cost.
enum class TuneMeasure : std::uint8_t { validation, test };
enum class TuneCost : std::uint8_t { seconds, products };

/// Sub-optimality of one method over the outer iterations: quantiles over the seeds. A run that ended early counts with
/// its last point from there on.
struct TuneCurve {
  std::string method;
  std::vector<double> seconds;   ///< medians, one a point; likewise below
  std::vector<double> products;  ///< inner gradients and Hessian products, which cost about the same
  std::vector<double> median;
  std::vector<double> low;   ///< lower quartile
  std::vector<double> high;  ///< upper quartile
};

/// Sub-optimality = loss - the smallest loss that any method found on the same seed. Of a search the best w so far, by
/// validation loss, counts. Curves stand in the order in which methods first appear.
/// Source of the protocol: Z. Ramzi et al., SHINE, ICLR 2022, figures 1 and 2, the quartiles that of the second.
std::vector<TuneCurve> tune_curves(const std::vector<TuneTrace>& traces, TuneMeasure measure);

/// First cost at which the median curve is at or below `level`; infinity when it never is.
double cost_to_reach(const TuneCurve& curve, double level, TuneCost cost);

/// Levels of the table of published results.
inline constexpr std::array<double, 7> kTuneLevels = {100, 50, 20, 10, 5, 2, 1};

/// The value below which a share of `values` lies, between neighbours by their distance. Not a number when empty.
double quantile(std::vector<double> values, double share);

}  // namespace deq
