#include "layers/trajectory.h"

#include <cmath>

#include "core/error.h"

namespace deq {

std::vector<double> state_weights(int states, StateWeights kind, double decay) {
  check(states >= 1, "state_weights", states, " states, expected at least 1");
  check(decay > 0.0 && decay <= 1.0, "state_weights", "decay is ", decay, " but must be in (0, 1]");
  std::vector<double> out;
  for (int k = 0; k < states; ++k) {
    const int to_last = states - 1 - k;
    switch (kind) {
      case StateWeights::geometric: out.push_back(std::pow(decay, to_last)); break;
      case StateWeights::linear: out.push_back(1.0 - 0.9 * to_last / states); break;
      case StateWeights::constant: out.push_back(1.0); break;
    }
  }
  return out;
}

std::vector<EquilibriumTrace> trace_trajectory(const StateFunction& f, const std::vector<Value>& z0,
                                               const std::vector<EquilibriumOptions>& slices) {
  check(!slices.empty(), "trace_trajectory", "there is no slice");
  std::vector<EquilibriumTrace> out;
  for (const EquilibriumOptions& slice : slices)
    out.push_back(trace_equilibrium(f, out.empty() ? z0 : out.back().iterate, slice));
  return out;
}

Value corrected_loss(const std::vector<Value>& losses, const std::vector<double>& weights) {
  check(!losses.empty() && losses.size() == weights.size(), "corrected_loss", losses.size(), " losses and ",
        weights.size(), " weights");
  Value sum = losses[0] * weights[0];
  for (std::size_t k = 1; k < losses.size(); ++k) sum = sum + losses[k] * weights[k];
  return sum;
}

}  // namespace deq
