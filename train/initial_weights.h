#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/checkpoint.h"
#include "train/config.h"

namespace deq {

/// What a training begins with instead of drawn parameters.
struct InitialWeights {
  std::filesystem::path from;           ///< the checkpoint; empty: everything is drawn
  NamedTensors taken = {};              ///< parameters and running statistics, by their names in the model
  std::vector<std::string> drawn = {};  ///< tensors that the checkpoint does not fit, all of the head
};

/// Reads the checkpoint `train.initial_weights` for the configured model, tensor by tensor of the same name and shape.
/// What does not fit is drawn in the last layer of the head (another number of classes), and in the whole head for
/// another task.
/// Errors (RequestError): as load_checkpoint; any other tensor that is missing, surplus or misshapen (lists them).
InitialWeights read_initial_weights(const Config& config);

/// E.g. "a/checkpoints/best, 58 tensors; drawn: classifier.bias, classifier.weight".
std::string describe(const InitialWeights& weights);

}  // namespace deq
