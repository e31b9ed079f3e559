#pragma once

#include <cstdint>

#include "core/cpu/bfloat16.h"

namespace deq::cpu {

/// from [rows,n] -> to [rows,padded]: the nearest bf16 of each, nan stays nan; zeros where padded > n.
void round_rows(const float* from, std::int64_t rows, std::int64_t n, Bfloat16* to, std::int64_t padded);

}  // namespace deq::cpu
