#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

// The small MDEQ with every structural option that the reference implementation (github.com/locuslab/deq) was run on;
// its results were computed in double from float32 inputs.

namespace deq::test {

/// $DEQ_REFERENCE_DIR/mdeq-mini; says that the test is skipped when the variable is unset.
std::optional<std::filesystem::path> golden_mdeq_folder();

/// Its configuration as TOML; `solver` is text for the [solver] section.
std::string golden_mdeq_config(const std::string& solver = "");

using Tensors = std::map<std::string, Tensor>;

/// [B,C,H,W] -> [B,H,W,C], f32.
Tensor to_nhwc(const Tensor& nchw);

std::vector<double> elements_of(const Tensor& tensor);

/// Largest absolute difference; infinite when the lengths differ or something is not a number.
double max_difference(std::span<const double> a, std::span<const double> b);
double max_difference(const Tensor& a, const Tensor& b);

/// |a - b| / |b|, Euclidean.
double relative_difference(const Tensor& a, const Tensor& b);

/// Checks every gradient against the stored one: 1e-3 relative per tensor, the limit of the reference data for float32.
/// @returns the largest relative difference
double check_gradients(const Tensors& gradients, const Tensors& stored);

}  // namespace deq::test
