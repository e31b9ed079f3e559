#pragma once

#include <string_view>

#include "core/graph.h"

namespace deq {

/// Sums of products, named by letters as in NumPy, one a axis:
///
///   einsum("bqhd,bkhd->bhqk", queries, keys)      // scores of all heads
///   einsum("btc,cd->btd", x, w)                   // one matrix for all rows
///
/// Letters that the result lacks are summed over. One matrix product, or a batch of them over the letters that all
/// three have, with the transpositions that it takes; samples stay apart where their letter is the first of the result.
/// Errors: no formula of two operands; a letter twice in one of its parts; a result's letter that no operand has;
/// other ranks or extents than the letters say.
Value einsum(std::string_view formula, Value a, Value b);

}  // namespace deq
