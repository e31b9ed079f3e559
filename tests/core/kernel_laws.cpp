#include "tests/core/kernel_laws.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace deq::tests {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && std::equal(a.raw(), a.raw() + a.bytes(), b.raw());
}

std::vector<std::uint8_t> all_used(const KernelCase& kernel_case) {
  return std::vector<std::uint8_t>(kernel_case.outputs().size(), 1);
}

void check_values(const std::vector<KernelCase>& cases, double tolerance, Factory factory) {
  for (const KernelCase& kernel_case : cases) {
    CAPTURE(kernel_case.name);
    const std::vector<Tensor> found = run_case(kernel_case, all_used(kernel_case), -1, factory);
    const std::vector<Tensor> wanted = run_reference(kernel_case);
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i);
      CHECK(relative_difference(found[i], wanted[i]) <= tolerance);
    }
  }
}

void check_overwriting(const std::vector<KernelCase>& cases, Factory factory) {
  int checked = 0;
  for (const KernelCase& kernel_case : cases) {
    CAPTURE(kernel_case.name);
    const std::vector<Tensor> apart = run_case(kernel_case, all_used(kernel_case), -1, factory);
    for (const std::size_t input : overwritable_inputs(kernel_case)) {
      const auto over = run_case(kernel_case, all_used(kernel_case), static_cast<int>(input), factory);
      for (std::size_t i = 0; i < apart.size(); ++i) CHECK(same_bits(over[i], apart[i]));
      ++checked;
    }
  }
  CHECK(checked > 100);
}

void check_unread_outputs(const std::vector<KernelCase>& cases, Factory factory) {
  for (const KernelCase& kernel_case : cases) {
    CAPTURE(kernel_case.name);
    const std::vector<Tensor> all = run_case(kernel_case, all_used(kernel_case), -1, factory);
    for (std::size_t absent = 0; absent < all.size(); ++absent) {
      std::vector<std::uint8_t> used = all_used(kernel_case);
      used[absent] = 0;
      const std::vector<Tensor> rest = run_case(kernel_case, used, -1, factory);
      for (std::size_t i = 0; i < all.size(); ++i)
        if (i != absent) CHECK(same_bits(rest[i], all[i]));
    }
  }
}

}  // namespace deq::tests
