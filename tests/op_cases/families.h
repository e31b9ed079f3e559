#pragma once

#include <string>
#include <vector>

#include "tests/op_cases/op_cases.h"

// The rows of the grid, one function per op family.

namespace deq::op_cases {

using Cases = std::vector<OpCase>;
using Values = std::vector<Value>;

void add_elementwise(Cases& cases);
void add_source(Cases& cases);
void add_shape(Cases& cases);
void add_linear(Cases& cases);
void add_norm(Cases& cases);
void add_fused_norm(Cases& cases);
void add_resize(Cases& cases);
void add_pool(Cases& cases);
void add_training(Cases& cases);
void add_composed(Cases& cases);

/// f32 input that gradcheck differentiates.
inline CaseInput variable(std::string name, Shape shape, double low = -1, double high = 1, Fill fill = Fill::uniform) {
  return {std::move(name), {DType::f32, shape}, true, low, high, fill};
}
/// f32 input that is only compared.
inline CaseInput fixed(std::string name, Shape shape, double low = -1, double high = 1, Fill fill = Fill::uniform) {
  return {std::move(name), {DType::f32, shape}, false, low, high, fill};
}
/// i32 input with values of [low, high).
inline CaseInput integers(std::string name, Shape shape, double low, double high) {
  return {std::move(name), {DType::i32, shape}, false, low, high, Fill::uniform};
}

}  // namespace deq::op_cases
