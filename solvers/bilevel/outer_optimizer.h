#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

#include "solvers/bilevel/problem.h"

namespace deq {

/// lambda <- lambda - rate g.
struct GradientDescent {
  double rate = 0.1;
  bool operator==(const GradientDescent&) const = default;
};
/// D. Kingma, J. Ba, ICLR 2015.
struct AdamDescent {
  double rate = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  bool operator==(const AdamDescent&) const = default;
};
/// ELRA's P2Min (A. Kleinsorge et al., arXiv 2309.06274): no learning rate. A parabola through the last step gives the
/// length of the next one along the gradient; a step after which F is too high is undone and shortened.
struct ElraDescent {
  double first_rate = 1e-5;
  double most_rise = 1.1;  ///< a point whose F exceeds this times the first F is undone
  double most_step = 1.0;  ///< longest step, root mean square over the entries of lambda
  double offset = 0.0;     ///< added to F, which must be positive for the test of acceptance
  bool operator==(const ElraDescent&) const = default;
};
using OuterMethod = std::variant<GradientDescent, AdamDescent, ElraDescent>;
/// "gd", "adam", "elra".
std::string_view name_of(const OuterMethod& method);

/// Moves lambda by F and its gradient, one evaluation at a time.
class OuterOptimizer {
 public:
  virtual ~OuterOptimizer() = default;
  /// @param value     F at lambda
  /// @param gradient  [p] dF/dlambda there
  /// @param lambda    [p] the point of both on entry, where to evaluate next on return. The caller may clip it.
  virtual void step(double value, ConstVector gradient, Vector lambda) = 0;
};

/// @param size  p >= 1
std::unique_ptr<OuterOptimizer> make_outer_optimizer(const OuterMethod& method, std::int64_t size);

}  // namespace deq
