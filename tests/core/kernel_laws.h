#pragma once

#include <cstdint>
#include <vector>

#include "tests/core/cpu_kernel_cases.h"

// What every kernel owes, whoever made it. `factory` as in run_case; each returns or checks with doctest.

namespace deq::tests {

[[nodiscard]] bool same_bits(const Tensor& a, const Tensor& b);
/// 1 for each output.
[[nodiscard]] std::vector<std::uint8_t> all_used(const KernelCase& kernel_case);

/// The values are the reference's, within `tolerance` as relative_difference measures.
void check_values(const std::vector<KernelCase>& cases, double tolerance, Factory factory = nullptr);
/// An output over an input of equal size gets the same bits; more than a hundred of them.
void check_overwriting(const std::vector<KernelCase>& cases, Factory factory = nullptr);
/// An output without memory changes nothing in the others.
void check_unread_outputs(const std::vector<KernelCase>& cases, Factory factory = nullptr);

}  // namespace deq::tests
