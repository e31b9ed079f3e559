#include "train/same_run.h"

#include "core/error.h"
#include "train/config_keys.h"
#include "train/config_value.h"

namespace deq {

namespace {

/// How a message calls what the key is of; empty: a resumed run may have another value.
std::string_view kept(const ConfigKey& key) {
  if (key.section() == "model") return "model";
  // Where the files are and how they are loaded does not change the batches.
  if (key.section() == "data") return key.leaf() == "path" || key.leaf() == "threads" ? "" : "data";
  if (key.name == "train.batch_size") return "batch size";
  if (key.name == "train.seed") return "seed";
  return key.name == "optimizer.name" ? "optimiser" : "";
}

}  // namespace

void require_same_run(const Config& saved, const Config& wanted, const std::filesystem::path& out) {
  Config before = saved, now = wanted;
  for (const ConfigKey& key : config_keys()) {
    const std::string_view what = kept(key);
    if (what.empty()) continue;
    const std::string old = value_text(key.field(before)), asked = value_text(key.field(now));
    require(old == asked, "resume", "the ", what, " of the run in '", out.string(),
            "' is not the one of the configuration: '", key.name, "' is ", old, " there and ", asked,
            " here; go on with --set '", key.name, "=", old, "' or choose another --out");
  }
  const std::string &start = saved.train.initial_weights, &asked = wanted.train.initial_weights;
  require(asked.empty() || asked == start, "resume", "the run in '", out.string(), "' began from ",
          start.empty() ? "drawn weights" : concat("the weights of '", start, "'"), ", the configuration names '",
          asked, "'; leave train.initial_weights out or choose another --out");
}

}  // namespace deq
