#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph.h"
#include "layers/parameter.h"
#include "train/checkpoint.h"
#include "train/config.h"

namespace deq {

/// Adam, AdamW or SGD with Nesterov momentum over the trainable parameters of a store, as nodes of a graph.
/// Owns the moments, so several graphs (pre-training, equilibrium) continue each other.
class Optimizer {
 public:
  /// Whether it trains an entry.
  using Choice = std::function<bool(const ParameterEntry& entry)>;

  /// Of the trainable parameters those that `is_chosen` names, all of them by default: parameters that stay as they are
  /// are left out, and groups with a rate or a decay of their own have an optimiser each. The rate is given to
  /// `update`; `config.lr` is not read. Errors (RequestError): unknown optimiser name, another number of betas than
  /// two.
  Optimizer(const OptimizerConfig& config, const ParameterStore& store, const Choice& is_chosen = {});

  /// Its parameters as inputs of `graph`, in the order that `update` expects gradients.
  [[nodiscard]] std::vector<Value> parameters(Graph& graph) const;
  /// Adds one update per parameter and assigns the results. `lr` and `step` (1-based) are f32 scalars.
  /// `clip_norm` > 0 scales all gradients so that their joint norm is at most that.
  /// Errors: no parameters, another number of gradients than parameters, or a parameter whose gradient is empty.
  /// @returns the joint gradient norm before clipping, f32[]
  Value update(Graph& graph, std::span<const Value> gradients, Value lr, Value step, double clip_norm) const;

  /// Moments by name ("m.<parameter>", ...), sharing this optimiser's memory.
  [[nodiscard]] NamedTensors state() const;

 private:
  struct Slot {
    std::string name;
    std::shared_ptr<Tensor> value;
    std::vector<std::shared_ptr<Tensor>> moments;
  };
  [[nodiscard]] std::vector<std::string> moment_names() const;

  OptimizerConfig config_;
  bool is_sgd_ = false;
  std::vector<Slot> slots_;
};

}  // namespace deq
