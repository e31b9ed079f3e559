#include "train/correction.h"

#include <algorithm>

#include "layers/trajectory.h"

namespace deq {

StartKind start_kind(const TrainConfig& train) {
  if (train.start == "gaussian") return StartKind::gaussian;
  return train.start == "mixed" ? StartKind::mixed : StartKind::zeros;
}

int steps_of_slice(const TrainConfig& train, int max_steps) { return std::max(1, max_steps / train.correction_states); }

std::vector<double> correction_weights(const TrainConfig& train) {
  StateWeights kind = StateWeights::geometric;
  if (train.correction_weights == "linear") kind = StateWeights::linear;
  if (train.correction_weights == "constant") kind = StateWeights::constant;
  return state_weights(train.correction_states, kind, train.correction_decay);
}

}  // namespace deq
