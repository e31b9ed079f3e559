#pragma once

#include <vector>

#include "layers/start_state.h"
#include "train/config.h"

// How the equilibrium phase of training solves, beside solver and estimator: where it begins (train.start) and which of
// its states are supervised (train.correction_*).

namespace deq {

/// Where the solves of training begin.
StartKind start_kind(const TrainConfig& train);

/// Step limit of each of the `correction_states` slices of a solve of at most `max_steps`: its equal share, at least 1.
int steps_of_slice(const TrainConfig& train, int max_steps);

/// Weights of the losses of the slices' ends, the last one's 1.
std::vector<double> correction_weights(const TrainConfig& train);

}  // namespace deq
