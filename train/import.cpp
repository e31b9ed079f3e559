#include "train/import.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/class_names.h"
#include "train/model.h"

namespace deq {
namespace {

std::string_view without_prefixes(std::string_view name) {
  constexpr std::string_view kPrefixes[] = {"module.", "model."};
  const auto* found = std::begin(kPrefixes);
  while (found != std::end(kPrefixes)) {
    found =
        std::find_if(std::begin(kPrefixes), std::end(kPrefixes), [&](auto prefix) { return name.starts_with(prefix); });
    if (found != std::end(kPrefixes)) name.remove_prefix(found->size());
  }
  return name;
}

bool is_needless(std::string_view name) {
  return name.starts_with("fullstage_copy.") || name.ends_with("num_batches_tracked");
}

Tensor to_f32(const Tensor& tensor) {
  if (tensor.dtype() != DType::f64) return tensor;
  Tensor out(DType::f32, tensor.shape());
  const auto from = tensor.data<double>();
  std::transform(from.begin(), from.end(), out.data<float>().begin(), [](double x) { return static_cast<float>(x); });
  return out;
}

NamedTensors renamed(const NamedTensors& weights, std::string_view place, std::vector<std::string>& ignored) {
  NamedTensors out;
  for (const auto& [given, tensor] : weights) {
    const std::string name(without_prefixes(given));
    if (is_needless(name)) {
      ignored.push_back(given);
      continue;
    }
    require(out.emplace(name, to_f32(tensor)).second, place, "tensor '", name, "' is there twice, once as '", given,
            "'");
  }
  return out;
}

/// Published files and the configurations they came with disagree here: the weights decide.
void follow_post_fuse_affinity(Config& config, const NamedTensors& weights, std::vector<std::string>& notes) {
  const bool is_configured = config.model.post_gn_affine;
  for (std::size_t branch = 0; branch < config.model.channels.size(); ++branch)
    for (const char* leaf : {"weight", "bias"})
      if (weights.contains(concat("fullstage.post_fuse_layers.", branch, ".gnorm.", leaf)) == is_configured) return;
  if (config.model.channels.size() < 2) return;  // one branch has nothing to fuse
  config.model.post_gn_affine = !is_configured;
  notes.push_back(concat("the weights have ", is_configured ? "no " : "", "scales and shifts of the post-fuse ",
                         "normalisations: model.post_gn_affine is ", is_configured ? "false" : "true",
                         " in the checkpoint, whatever the configuration says"));
}

void check_values(const NamedTensors& tensors, std::string_view place) {
  for (const auto& [name, tensor] : tensors) {
    const bool is_variance = name.ends_with("running_var");
    const auto values = tensor.data<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      require(std::isfinite(values[i]), place, "element ", i, " of tensor '", name, "' is ", values[i],
              "; weights must be finite");
      require(!is_variance || values[i] >= 0, place, "element ", i, " of tensor '", name, "' is ", values[i],
              "; a variance must not be negative");
    }
  }
}

}  // namespace

ImportedModel import_mdeq(const Config& config, NamedTensors weights, std::string_view place) {
  ImportedModel out;
  out.checkpoint.config = config;
  weights = renamed(weights, place, out.ignored);
  follow_post_fuse_affinity(out.checkpoint.config, weights, out.notes);
  const Model model(out.checkpoint.config);
  out.checkpoint.model = model.tensors();
  copy_tensors(weights, out.checkpoint.model, place);
  check_values(out.checkpoint.model, place);
  out.checkpoint.training.phase = "equilibrium";
  std::vector<std::string> names = fixed_class_names(config.data.name);
  if (std::ssize(names) == config.model.classes) out.checkpoint.class_names = std::move(names);
  return out;
}

}  // namespace deq
