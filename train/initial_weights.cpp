#include "train/initial_weights.h"

#include "core/counted.h"
#include "core/error.h"
#include "layers/mdeq/part.h"
#include "train/model.h"

namespace deq {

InitialWeights read_initial_weights(const Config& config) {
  InitialWeights out{.from = config.train.initial_weights};
  if (out.from.empty()) return out;
  Checkpoint checkpoint = load_checkpoint(out.from);
  const bool is_same_task = checkpoint.config.model.task == config.model.task;
  const auto may_differ = [&](const std::string& name) {
    const MdeqPart part = mdeq_part(name);
    return part == MdeqPart::output || (part == MdeqPart::head && !is_same_task);
  };
  out.taken = Model(config, ParameterStart::zeros).tensors();
  std::erase_if(out.taken, [&](const auto& entry) {
    const auto found = checkpoint.model.find(entry.first);
    const bool fits = found != checkpoint.model.end() && found->second.type() == entry.second.type();
    const bool is_drawn = !fits && may_differ(entry.first);
    if (is_drawn) out.drawn.push_back(entry.first);
    return is_drawn;
  });
  std::erase_if(checkpoint.model,
                [&](const auto& entry) { return !out.taken.contains(entry.first) && may_differ(entry.first); });
  copy_tensors(checkpoint.model, out.taken, out.from.string());
  return out;
}

std::string describe(const InitialWeights& weights) {
  std::string text = concat(weights.from.string(), ", ", counted(weights.taken.size(), "tensor"));
  for (std::size_t i = 0; i < weights.drawn.size(); ++i) text += concat(i == 0 ? "; drawn: " : ", ", weights.drawn[i]);
  return text;
}

}  // namespace deq
