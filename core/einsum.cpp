#include "core/einsum.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/builder.h"

namespace deq {
namespace {

constexpr std::string_view kName = "einsum";

/// Axes by their letters.
using Letters = std::string;

bool has(std::string_view letters, char letter) { return letters.find(letter) != std::string_view::npos; }

struct Formula {
  Letters a, b, result;
};

Formula parsed(Letters formula) {
  std::erase(formula, ' ');
  const std::size_t comma = formula.find(','), arrow = formula.find("->");
  check(comma != Letters::npos && arrow != Letters::npos && comma < arrow, kName, "'", formula,
        "' is no formula of two operands, such as 'bij,bjk->bik'");
  Formula out{formula.substr(0, comma), formula.substr(comma + 1, arrow - comma - 1), formula.substr(arrow + 2)};
  for (const Letters& part : {out.a, out.b, out.result}) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      const bool is_letter = (part[i] >= 'a' && part[i] <= 'z') || (part[i] >= 'A' && part[i] <= 'Z');
      check(is_letter, kName, "'", formula, "' has '", part[i], "', which is no letter");
      check(!has(part.substr(i + 1), part[i]), kName, "'", formula, "' has '", part[i], "' twice in '", part, "'");
    }
  }
  for (const char letter : out.result)
    check(has(out.a, letter) || has(out.b, letter), kName, "'", formula, "': no operand has '", letter, "'");
  return out;
}

/// An operand whose axes have names.
struct Named {
  Value value;
  Letters letters;

  [[nodiscard]] std::int64_t extent(char letter) const { return value.shape()[static_cast<int>(letters.find(letter))]; }
  /// Product of the extents of `chosen`.
  [[nodiscard]] std::int64_t elements(std::string_view chosen) const {
    std::int64_t product = 1;
    for (const char letter : chosen) product *= extent(letter);
    return product;
  }
};

/// The axes in another order.
Value ordered(const Named& x, std::string_view order) {
  if (x.letters == order) return x.value;
  std::vector<int> permutation;
  for (const char letter : order) permutation.push_back(static_cast<int>(x.letters.find(letter)));
  return transpose(x.value, std::move(permutation));
}

/// Sums over the letters that neither the other operand nor the result has.
Named without_own(Named x, std::string_view other, std::string_view result) {
  std::vector<int> axes;
  Letters kept;
  for (std::size_t i = 0; i < x.letters.size(); ++i) {
    if (has(other, x.letters[i]) || has(result, x.letters[i]))
      kept.push_back(x.letters[i]);
    else
      axes.push_back(static_cast<int>(i));
  }
  return axes.empty() ? x : Named{sum(x.value, axes), kept};
}

/// The same array for every place of another, first letter.
Named repeated(const Named& x, char letter, std::int64_t extent) {
  std::vector<std::int64_t> extents{extent};
  for (const char own : x.letters) extents.push_back(x.extent(own));
  const Shape all(extents);
  return {broadcast_to(reshape(x.value, all.with(0, 1)), all), letter + x.letters};
}

/// A factor of the product, [batch, rows, columns] or [rows, columns]: turned round where its axes lie like that.
struct Factor {
  Value value;
  bool is_transposed = false;
};

Factor factor(const Named& x, const Letters& batch, const Letters& rows, const Letters& columns) {
  const bool is_transposed = x.letters != batch + rows + columns && x.letters == batch + columns + rows;
  const Letters& first = is_transposed ? columns : rows;
  const Letters& second = is_transposed ? rows : columns;
  std::vector<std::int64_t> extents{x.elements(first), x.elements(second)};
  if (!batch.empty()) extents.insert(extents.begin(), x.elements(batch));
  return {reshape(ordered(x, batch + first + second), Shape(extents)), is_transposed};
}

}  // namespace

Value einsum(std::string_view formula, Value a, Value b) {
  const Formula names = parsed(Letters(formula));
  const TensorType left_type = a.type(kName), right_type = b.type(kName);
  for (const auto& [type, letters] : {std::pair{left_type, names.a}, std::pair{right_type, names.b}})
    check(type.shape.rank() == static_cast<int>(letters.size()), kName, "'", letters, "' names ", letters.size(),
          " axes, but the operand is ", type, " ('", formula, "')");
  Named left{a, names.a}, right{b, names.b};
  const auto is_shared = [&](char letter) { return has(left.letters, letter) && has(right.letters, letter); };
  for (const char letter : names.a) {
    if (!is_shared(letter)) continue;
    const std::int64_t here = left.extent(letter), there = right.extent(letter);
    check(here == there, kName, "'", letter, "' is ", here, " in ", left_type, " but ", there, " in ", right_type,
          " ('", formula, "')");
  }
  // A product for each place of a shared letter is one for each sample too, or samples would lie beside each other.
  if (std::ranges::any_of(names.result, is_shared) && !is_shared(names.result[0])) {
    const char sample = names.result[0];
    if (has(left.letters, sample))
      right = repeated(right, sample, left.extent(sample));
    else
      left = repeated(left, sample, right.extent(sample));
  }
  Letters batch, rows, columns, summed;
  for (const char letter : names.result)
    (is_shared(letter) ? batch : has(left.letters, letter) ? rows : columns).push_back(letter);
  for (const char letter : left.letters)
    if (is_shared(letter) && !has(names.result, letter)) summed.push_back(letter);
  left = without_own(left, right.letters, names.result);
  right = without_own(right, left.letters, names.result);
  if (rows.empty() && columns.empty() && summed.empty()) return ordered(left, batch) * ordered(right, batch);

  const Factor of_left = factor(left, batch, rows, summed), of_right = factor(right, batch, summed, columns);
  const Value product = matmul(of_left.value, of_right.value, of_left.is_transposed, of_right.is_transposed);
  std::vector<std::int64_t> extents;
  for (const char letter : batch + rows) extents.push_back(left.extent(letter));
  for (const char letter : columns) extents.push_back(right.extent(letter));
  return ordered({reshape(product, Shape(extents)), batch + rows + columns}, names.result);
}

}  // namespace deq
