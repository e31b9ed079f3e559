#include "layers/audit_vector.h"

#include <cmath>

namespace deq {

VectorComparison compare(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  check(a.size() == b.size(), "compare", a.size(), " tensors with ", b.size());
  double difference = 0, dot = 0, size_a = 0, size_b = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    check(a[k].shape() == b[k].shape(), "compare", a[k].type(), " with ", b[k].type());
    const auto x = a[k].data<float>();
    const auto y = b[k].data<float>();
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double p = static_cast<double>(x[i]), q = static_cast<double>(y[i]);
      difference += (p - q) * (p - q);
      dot += p * q;
      size_a += p * p;
      size_b += q * q;
    }
  }
  return {.relative_error = std::sqrt(difference / size_b),
          .cosine = dot / std::sqrt(size_a * size_b),
          .norm_ratio = std::sqrt(size_a / size_b)};
}

void add_scaled(const Tensor& from, double scale, Tensor& into) {
  check(from.shape() == into.shape(), "add_scaled", from.type(), " to ", into.type());
  const auto x = from.data<float>();
  const auto y = into.data<float>();
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = static_cast<float>(static_cast<double>(y[i]) + scale * static_cast<double>(x[i]));
}

}  // namespace deq
