#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace deq::test {

/// Arrays of the fixed-point reference data, all as double.
struct Golden {
  std::map<std::string, std::vector<double>> arrays;
  std::map<std::string, std::vector<int>> shapes;
};
/// $DEQ_REFERENCE_DIR/fixed-point/contract.safetensors, or nothing (and a line saying so) when the variable is unset.
std::optional<Golden> fixed_point_golden();

}  // namespace deq::test
