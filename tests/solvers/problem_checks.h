#pragma once

#include <cstdint>
#include <vector>

#include "core/samples.h"
#include "solvers/bilevel/problem.h"

namespace deq::testing {

/// Largest disagreement of a problem's products with central differences, each relative to the size of the product.
struct ProductErrors {
  double gradient = 0;
  double hessian = 0;
  double cross = 0;
  double outer_w = 0;
  double outer_lambda = 0;
  double asymmetry = 0;  ///< |u^T H v - v^T H u| relative
};

/// Differences along random directions with step `step`, at (w, lambda).
ProductErrors check_products(BilevelProblem& problem, std::vector<double> w, std::vector<double> lambda, double step,
                             std::uint32_t seed);

std::vector<double> random_normals(std::int64_t count, std::uint32_t seed);

/// Sparse random samples; labels are -1 and +1, or 0 ... classes - 1 when `classes` > 0.
Samples random_samples(std::int64_t rows, std::int64_t columns, int classes, std::uint32_t seed);

}  // namespace deq::testing
