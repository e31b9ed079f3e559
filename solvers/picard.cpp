#include "solvers/picard.h"

#include "core/error.h"

namespace deq {

PicardMethod::PicardMethod(const StateSpec& spec, StateOps& ops, const Picard& options)
    : spec_(spec),
      ops_(&ops),
      damping_(options.damping),
      coefficient_(static_cast<std::size_t>(spec.batch), options.damping),
      estimate_(spec, ops) {
  require(damping_ > 0.0 && damping_ <= 1.0, "picard", "damping is ", damping_, " but must be in (0, 1]");
}

int PicardMethod::advance(const Iterate& iterate) {
  ops_->combine(spec_, 1.0 - damping_, coefficient_, single(iterate.f), 1, iterate.z, iterate.advancing);
  return 0;
}

}  // namespace deq
