#include "core/random.h"

#include "core/reference/kernel.h"

namespace deq::reference {

Body lower(const Random& op, const KernelRequest& request) {
  const std::int64_t n = request.outputs[0].shape.elements();
  return [n, op](const Operands& at) {
    const auto* seed = static_cast<const std::int64_t*>(at.inputs[0]);
    const RandomStream stream{static_cast<std::uint64_t>(seed[0]), static_cast<std::uint64_t>(seed[1]), op.site};
    for (std::int64_t i = 0; i < n; ++i) {
      switch (op.distribution) {
        case Distribution::bernoulli: at.out()[i] = uniform(stream, i) < op.p ? 0.0 : 1.0 / (1.0 - op.p); break;
        case Distribution::normal: at.out()[i] = normal(stream, i); break;
      }
    }
  };
}

}  // namespace deq::reference
