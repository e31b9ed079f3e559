#include "train/optimizer.h"

#include "core/builder.h"

namespace deq {
namespace {

/// Square root of the sum of squares over all gradients, f32[]. Added in pairs, so that few sums wait for each other.
Value joint_norm(std::span<const Value> gradients) {
  std::vector<Value> parts;
  for (const Value& gradient : gradients) parts.push_back(sum(square(gradient)));
  for (std::size_t apart = 1; apart < parts.size(); apart *= 2)
    for (std::size_t i = 0; i + apart < parts.size(); i += 2 * apart) parts[i] = parts[i] + parts[i + apart];
  return sqrt(parts.front());
}

/// min(1, limit / norm), without a branch: 1 - relu(1 - limit / norm).
Value clip_factor(Value norm, double limit) {
  const Value ratio = reciprocal(norm + 1e-6) * limit;
  return affine(relu(affine(ratio, -1, 1)), -1, 1);
}

}  // namespace

Optimizer::Optimizer(const OptimizerConfig& config, const ParameterStore& store, const Choice& is_chosen)
    : config_(config) {
  is_sgd_ = config.name == "sgd";
  require(is_sgd_ || config.name == "adam" || config.name == "adamw", "optimizer", "'", config.name,
          "' is not known; choose adam, adamw or sgd");
  require(config.betas.size() == 2, "optimizer", config.betas.size(), " betas, expected two");
  for (const ParameterEntry& entry : store.entries()) {
    if (!entry.is_trainable || (is_chosen && !is_chosen(entry))) continue;
    Slot slot{.name = entry.name, .value = entry.value, .moments = {}};
    for (std::size_t i = 0; i < moment_names().size(); ++i)
      slot.moments.push_back(std::make_shared<Tensor>(entry.value->type()));
    slots_.push_back(std::move(slot));
  }
}

std::vector<std::string> Optimizer::moment_names() const {
  return is_sgd_ ? std::vector<std::string>{"momentum"} : std::vector<std::string>{"m", "v"};
}

std::vector<Value> Optimizer::parameters(Graph& graph) const {
  std::vector<Value> out;
  for (const Slot& slot : slots_) out.push_back(graph.parameter(slot.name, slot.value));
  return out;
}

Value Optimizer::update(Graph& graph, std::span<const Value> gradients, Value lr, Value step, double clip_norm) const {
  check(gradients.size() == slots_.size(), "optimizer", gradients.size(), " gradients for ", slots_.size(),
        " parameters");
  check(!slots_.empty(), "optimizer", "the model has no trainable parameter");
  for (std::size_t i = 0; i < slots_.size(); ++i)
    check(!gradients[i].is_empty(), "optimizer", "the loss does not depend on the trainable parameter '",
          slots_[i].name,
          "', which has no gradient; leave it out of the model, or take gradients_or_zeros, which gives zeros");
  const Scope scope(graph, "optimizer");
  const Value norm = joint_norm(gradients);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    Value gradient = gradients[i];
    if (clip_norm > 0) gradient = gradient * clip_factor(norm, clip_norm);
    std::vector<Value> operands{graph.parameter(slot.name, slot.value), gradient};
    const std::vector<std::string> names = moment_names();
    for (std::size_t k = 0; k < names.size(); ++k)
      operands.push_back(graph.parameter(names[k] + "." + slot.name, slot.moments[k]));
    operands.push_back(lr);
    Op op = SgdUpdate{.momentum = config_.momentum, .weight_decay = config_.weight_decay, .nesterov = config_.nesterov};
    if (!is_sgd_) {
      operands.push_back(step);
      op = AdamUpdate{.beta1 = config_.betas[0],
                      .beta2 = config_.betas[1],
                      .eps = config_.eps,
                      .weight_decay = config_.weight_decay,
                      .decoupled = config_.name == "adamw"};
    }
    const std::vector<Value> updated = graph.add(op, operands);
    graph.assign(operands[0], updated[0]);
    for (std::size_t k = 0; k < names.size(); ++k) graph.assign(operands[2 + k], updated[1 + k]);
  }
  return norm;
}

NamedTensors Optimizer::state() const {
  NamedTensors out;
  const std::vector<std::string> names = moment_names();
  for (const Slot& slot : slots_)
    for (std::size_t k = 0; k < names.size(); ++k) out.emplace(names[k] + "." + slot.name, *slot.moments[k]);
  return out;
}

}  // namespace deq
